{#- How an executed line ended: skipped, succeeded or failed. Without a status its error says so. -#}
{% macro step_outcome() -%}
    case
        when status = 'skipped' then 'skipped'
        when coalesce(status = 'succeeded', error is null) then 'succeeded'
        else 'failed'
    end
{%- endmacro %}


{#- The 64-bit hash by which a step finds its profile. -#}
{% macro step_profile_hash() -%}
    {{ row_hash(['adapter_name', 'adapter_operation', 'keyword', 'is_trigger', 'outcome']) }}
{%- endmacro %}


{#- How many units steps of one profile are, by their decision: each one, or its pages or messages. ``decisions`` and
    ``counts``: the aliases of step_decisions and of daily_step_counts. -#}
{% macro quantity_of_steps(decisions, counts) -%}
    case {{ decisions }}.quantity_from
        when 'page_count' then {{ counts }}.pages
        when 'message_count' then {{ counts }}.messages
        when 'one' then {{ counts }}.steps
        else 0
    end
{%- endmacro %}
