{#- What the units of dated_units add up to on a day: by column, the value of a unit and the function that adds up. -#}
{% macro measures_of_units() -%}
    {%- set measures = {} -%}
    {%- for metric in reported_metrics() -%}
        {%- do measures.update({metric: {'value': metric, 'function': 'sum'}}) -%}
    {%- endfor -%}
    {%- for metric in ['tasks', 'business_actions', 'pages_processed', 'events_processed'] -%}
        {%- set of_job = "case when is_job then " ~ metric ~ " end" -%}
        {%- do measures.update({'largest_' ~ metric: {'value': of_job, 'function': 'max'}}) -%}
    {%- endfor -%}
    {%- for column in [
        'steps_without_pages', 'steps_without_messages', 'jobs_not_counted', 'api_requests_without_job',
        'mcp_requests_without_job', 'steps_counted_by_default', 'steps_left_out_by_default',
    ] -%}
        {%- do measures.update({column: {'value': column, 'function': 'sum'}}) -%}
    {%- endfor -%}
    {#- tasks of jobs about which the platform says nothing, and of jobs about which it does -#}
    {%- for terms in ['t1', 't2', 't3'] -%}
        {%- set difference = "case when action_count is null then tasks - tasks_" ~ terms ~ " end" -%}
        {%- do measures.update({'tasks_not_' ~ terms: {'value': difference, 'function': 'sum'}}) -%}
    {%- endfor -%}
    {%- for column, condition, value in [
        ['tasks_not_counted_by_platform', 'steps > 0', 'tasks - action_count'],
        ['actions_without_steps', 'steps = 0', 'action_count'],
        ['jobs_without_steps', 'steps = 0', '1'],
        ['jobs_without_steps_or_count', 'steps = 0 and action_count is null', '1'],
    ] -%}
        {%- set of_job = "case when is_job and " ~ condition ~ " then " ~ value ~ " end" -%}
        {%- do measures.update({column: {'value': of_job, 'function': 'sum'}}) -%}
    {%- endfor -%}
    {{ return(measures) }}
{%- endmacro %}


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
