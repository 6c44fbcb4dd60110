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


{#- Unexplained usage of each customer, and of all customers (customer_id is null). -#}
{% macro unexplained_usage(reconciliation) -%}
    select
        usage_month,
        customer_id,
        metric,
        abs(quantity) as quantity,
        our_quantity,
        vendor_quantity
    from {{ reconciliation }}
    where cause = 'unexplained'

    union all

    select
        usage_month,
        cast(null as string) as customer_id,
        metric,
        sum(abs(quantity)) as quantity,
        sum(our_quantity) as our_quantity,
        sum(vendor_quantity) as vendor_quantity
    from {{ reconciliation }}
    where cause = 'unexplained'
    group by usage_month, metric
{%- endmacro %}
