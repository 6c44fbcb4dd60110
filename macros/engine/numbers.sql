{% macro ratio(part, whole) -%}
    {{ return(adapter.dispatch('ratio')(part, whole)) }}
{%- endmacro %}

{#- Integer arithmetic only: a double would round its binary value. -#}
{% macro duckdb__ratio(part, whole) -%}
    cast(
        cast((2000000 * ({{ part }}) + ({{ whole }})) // nullif(2 * ({{ whole }}), 0) as decimal(18, 0))
        * cast(0.000001 as decimal(7, 6)) as decimal(9, 6)
    )
{%- endmacro %}

{% macro spark__ratio(part, whole) -%}
    cast(
        cast((2000000 * ({{ part }}) + ({{ whole }})) div nullif(2 * ({{ whole }}), 0) as decimal(18, 0))
        * cast(0.000001 as decimal(7, 6)) as decimal(9, 6)
    )
{%- endmacro %}


{% macro to_whole_number(column) -%}
    {{ return(adapter.dispatch('to_whole_number')(column)) }}
{%- endmacro %}

{#- A value that already is a BIGINT costs almost nothing. -#}
{% macro duckdb__to_whole_number(column) -%}
    case
        when
            (
                typeof({{ column }}) = 'BIGINT'
                or try_cast({{ column }} as double) = floor(try_cast({{ column }} as double))
            )
            and try_cast({{ column }} as bigint) between -{{ largest_number() }} and {{ largest_number() }}
            then try_cast({{ column }} as bigint)
    end
{%- endmacro %}

{#- Casts to a decimal first, because Spark does not cast a text with a point to a whole number. -#}
{% macro spark__to_whole_number(column) -%}
    {%- set number = "try_cast(regexp_replace(cast(" ~ column
        ~ " as string), '(?<=[0-9])_(?=[0-9])', '') as decimal(38, 18))" -%}
    case
        when
            {{ number }} = floor({{ number }})
            and {{ number }} between -{{ largest_number() }} and {{ largest_number() }}
            then try_cast({{ number }} as bigint)
    end
{%- endmacro %}


{% macro largest_number() -%}
    {{ return('1000000000000') }}
{%- endmacro %}


{% macro to_decimal(column, type) -%}
    {{ return("try_cast(" ~ column ~ " as " ~ type ~ ")") }}
{%- endmacro %}


{% macro amount(value) -%}
    {{ return(adapter.dispatch('amount')(value)) }}
{%- endmacro %}

{% macro duckdb__amount(value) -%}
    cast({{ value }} as decimal(38, 9))
{%- endmacro %}

{#- Spark drops decimals of a sum or product that may need more than 38 digits. -#}
{% macro spark__amount(value) -%}
    cast({{ value }} as decimal(26, 9))
{%- endmacro %}


{% macro nanos(value) -%}
    {{ return(adapter.dispatch('nanos')(value)) }}
{%- endmacro %}

{% macro duckdb__nanos(value) -%}
    cast({{ duckdb__amount(value) }} * 1000000000 as hugeint)
{%- endmacro %}

{% macro spark__nanos(value) -%}
    cast({{ spark__amount(value) }} * 1000000000 as decimal(38, 0))
{%- endmacro %}


{% macro from_nanos(value) -%}
    {{ return(adapter.dispatch('from_nanos')(value)) }}
{%- endmacro %}

{% macro duckdb__from_nanos(value) -%}
    cast(cast({{ value }} as decimal(38, 0)) * cast(0.000000001 as decimal(9, 9)) as decimal(38, 9))
{%- endmacro %}

{% macro spark__from_nanos(value) -%}
    cast(cast({{ value }} as decimal(27, 0)) * cast(0.000000001 as decimal(9, 9)) as decimal(38, 9))
{%- endmacro %}


{% macro whole_quotient(dividend, divisor) -%}
    {{ return(adapter.dispatch('whole_quotient')(dividend, divisor)) }}
{%- endmacro %}

{% macro duckdb__whole_quotient(dividend, divisor) -%}
    (cast({{ dividend }} as hugeint) // cast(nullif({{ divisor }}, 0) as hugeint))
{%- endmacro %}

{% macro spark__whole_quotient(dividend, divisor) -%}
    (cast({{ dividend }} as decimal(38, 0)) div cast(nullif({{ divisor }}, 0) as decimal(38, 0)))
{%- endmacro %}
