{% macro is_admin_account(column) -%}
    {%- set accounts = var('admin_account_ids') -%}
    {%- if accounts -%}
    {{ column }} in ({% for account in accounts %}{{ literal(account) }}{{ ', ' if not loop.last }}{% endfor %})
    {%- else -%}
    false
    {%- endif -%}
{%- endmacro %}
