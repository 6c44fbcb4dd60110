{#- The join with the decision: two equal keys keep it a hash join. -#}
{% macro is_decided_by(decisions, steps, jobs) -%}
    {{ steps }}.profile_id = {{ decisions }}.profile_id
    and {{ jobs }}.job_class = {{ decisions }}.job_class
    and {{ is_in_force(decisions, jobs ~ '.rule_date') }}
{%- endmacro %}


{% macro units_of_step(decisions, facts) -%}
    case {{ decisions }}.quantity_from
        when 'page_count' then {{ facts }}.page_count
        when 'message_count' then {{ facts }}.message_count
        when 'one' then 1
    end
{%- endmacro %}


{% macro quantity_of_steps(decisions, counts) -%}
    case {{ decisions }}.quantity_from
        when 'page_count' then {{ counts }}.pages
        when 'message_count' then {{ counts }}.messages
        when 'one' then {{ counts }}.steps
        else 0
    end
{%- endmacro %}
