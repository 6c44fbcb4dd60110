{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- Schemas are named as the contract names them, whatever the target's own schema is. -#}
    {{ working_schema(custom_schema_name if custom_schema_name else target.schema) }}
{%- endmacro %}


{#- The schema in which a run works: where readers have another one, its name says so. -#}
{% macro working_schema(name) -%}
    {{ return(adapter.dispatch('working_schema')(name)) }}
{%- endmacro %}

{% macro duckdb__working_schema(name) -%}
    {{ return(name) }}
{%- endmacro %}

{% macro spark__working_schema(name) -%}
    {{ return('build_' ~ name) }}
{%- endmacro %}


{#- The project's folder, or what is in it, wherever dbt was started. (Here dbt's flags lack PROJECT_DIR.) -#}
{% macro project_path(name=none) -%}
    {{ return((invocation_args_dict.project_dir | string) ~ ('/' ~ name if name else '')) }}
{%- endmacro %}
