{% macro to_boolean(column) -%}
    case
        when {{ is_one_of('cast(' ~ column ~ ' as string)', true_words()) }} then true
        when {{ is_one_of('cast(' ~ column ~ ' as string)', false_words()) }} then false
    end
{%- endmacro %}


{% macro true_words() -%}
    {{ return(['true', 't', 'yes', 'y', 'on', '1', '1.0']) }}
{%- endmacro %}


{% macro false_words() -%}
    {{ return(['false', 'f', 'no', 'n', 'off', '0', '0.0']) }}
{%- endmacro %}
