{% macro row_hash(columns) -%}
    {{ return(adapter.dispatch('row_hash')(columns)) }}
{%- endmacro %}

{% macro duckdb__row_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}

{#- Spark's function skips nulls, so (a, null) and (null, a) would have the same hash. -#}
{% macro spark__row_hash(columns) -%}
    xxhash64({% for column in columns %}{{ column }}, {{ column }} is null{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}


{% macro hash_type() -%}
    {{ return(adapter.dispatch('hash_type')()) }}
{%- endmacro %}

{% macro duckdb__hash_type() -%}
    {{ return('ubigint') }}
{%- endmacro %}

{#- Spark has no unsigned integers. -#}
{% macro spark__hash_type() -%}
    {{ return('bigint') }}
{%- endmacro %}


{% macro bits_of_small_numbers(column) -%}
    {{ return(adapter.dispatch('bits_of_small_numbers')(column)) }}
{%- endmacro %}

{% macro duckdb__bits_of_small_numbers(column) -%}
    bit_or(cast(1 as ubigint) << cast({{ column }} as ubigint))
{%- endmacro %}

{% macro spark__bits_of_small_numbers(column) -%}
    bit_or(shiftleft(cast(1 as bigint), cast({{ column }} as int)))
{%- endmacro %}
