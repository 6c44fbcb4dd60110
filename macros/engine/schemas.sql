{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- Schemas are named as the contract names them, whatever the target's own schema is. -#}
    {{ working_schema(custom_schema_name if custom_schema_name else target.schema) }}
{%- endmacro %}


{% macro working_schema(name) -%}
    {{ return(adapter.dispatch('working_schema')(name)) }}
{%- endmacro %}

{% macro duckdb__working_schema(name) -%}
    {{ return(name) }}
{%- endmacro %}

{% macro spark__working_schema(name) -%}
    {{ return('build_' ~ name) }}
{%- endmacro %}
