{% macro literal(value) -%}
    {{ return(adapter.dispatch('literal')(value)) }}
{%- endmacro %}

{% macro duckdb__literal(value) -%}
    {{ return("'" ~ (value | string).replace("'", "''") ~ "'") }}
{%- endmacro %}

{#- Spark interprets backslashes in texts. -#}
{% macro spark__literal(value) -%}
    {{ return("'" ~ (value | string).replace("\\", "\\\\").replace("'", "\\'") ~ "'") }}
{%- endmacro %}


{% macro is_matching(column, pattern) -%}
    {{ return(adapter.dispatch('is_matching')(column, pattern)) }}
{%- endmacro %}

{% macro duckdb__is_matching(column, pattern) -%}
    regexp_full_match({{ column }}, {{ literal(pattern) }})
{%- endmacro %}

{#- Java's $ also matches before a final line break. -#}
{% macro spark__is_matching(column, pattern) -%}
    {{ column }} rlike {{ literal('^(?:' ~ pattern ~ ')(?!(?s:.))') }}
{%- endmacro %}


{#- One search in one text, because DuckDB turns a long list of words into a join. -#}
{% macro is_one_of(column, words) -%}
    instr(
        {{ literal('\x1f' ~ words | map('lower') | join('\x1f') ~ '\x1f') }},
        chr(31) || lower(trim({{ column }})) || chr(31)
    ) > 0
{%- endmacro %}
