{% macro step_outcome() -%}
    case
        when status = 'skipped' then 'skipped'
        when coalesce(status = 'succeeded', error is null) then 'succeeded'
        else 'failed'
    end
{%- endmacro %}


{% macro step_profile_hash() -%}
    {{ row_hash(['adapter_name', 'adapter_operation', 'keyword', 'is_trigger', 'outcome']) }}
{%- endmacro %}
