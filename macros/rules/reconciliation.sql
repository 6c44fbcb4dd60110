{#- The part of what is left that a cause explains: at most `limit` units, and only where the vendor has more. -#}
{% macro explained(left_over, limit) -%}
    case when {{ left_over }} < 0 then -least(-({{ left_over }}), {{ limit }}) else 0 end
{%- endmacro %}


{#- A column of vendor_month_units of the row's metric, such as late_tasks; 0 for metrics without one. -#}
{% macro of_metric(columns) -%}
    case figures.metric
        {%- for metric, column in columns.items() %}
        when '{{ metric }}' then coalesce(units.{{ column }}, 0)
        {%- endfor %}
        else 0
    end
{%- endmacro %}


{#- The value of one figure of a report, for all of its figures. -#}
{% macro of_report(value) -%}
    max({{ value }}) over (partition by usage_month, customer_id, extracted_at)
{%- endmacro %}
