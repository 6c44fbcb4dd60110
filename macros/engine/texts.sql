{% macro to_text(column) -%}
    {{ return(adapter.dispatch('to_text')(column)) }}
{%- endmacro %}

{% macro duckdb__to_text(column) -%}
    case
        when typeof({{ column }}) = 'VARCHAR' then cast({{ column }} as varchar)
        when typeof({{ column }}) = 'BLOB' then try(decode(try_cast({{ column }} as blob)))
        when
            (typeof({{ column }}) in ('DOUBLE', 'FLOAT') or typeof({{ column }}) like 'DECIMAL%')
            and try_cast({{ column }} as hugeint) = try_cast({{ column }} as double)
            then cast(try_cast({{ column }} as hugeint) as varchar)
        else cast({{ column }} as varchar)
    end
{%- endmacro %}

{% macro spark__to_text(column) -%}
    case
        when
            typeof({{ column }}) in ('double', 'float')
            and try_cast({{ column }} as decimal(38, 0)) = try_cast({{ column }} as double)
            then cast(try_cast({{ column }} as decimal(38, 0)) as string)
        else cast({{ column }} as string)
    end
{%- endmacro %}


{% macro without_null_mark(column) -%}
    case
        when
            length({{ column }}) > 16
            or not {{ is_one_of(column, [''] + var('null_marks') | map('string') | map('trim') | list) }}
            then {{ column }}
    end
{%- endmacro %}


{% macro as_text(column) -%}
    {{ return(adapter.dispatch('as_text')(column)) }}
{%- endmacro %}

{% macro duckdb__as_text(column) -%}
    cast({{ column }} as string)
{%- endmacro %}

{#- Spark writes small decimals with an exponent if their type has more than six decimals. -#}
{% macro spark__as_text(column) -%}
    case
        when typeof({{ column }}) like 'decimal(%,9)'
            then format_number(cast(cast({{ column }} as string) as decimal(38, 9)), '0.000000000')
        else cast({{ column }} as string)
    end
{%- endmacro %}


{% macro tiebreak_text(columns) -%}
    {%- for column in columns -%}
    coalesce({{ as_text(column) }}, ''){{ " || chr(31) || " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
