{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- Schemas are named as the contract names them, whatever the target's own schema is. -#}
    {{ custom_schema_name if custom_schema_name else target.schema }}
{%- endmacro %}
