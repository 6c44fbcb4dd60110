{% macro usage_metrics() -%}
    {{ return([
        'tasks', 'business_actions', 'api_calls', 'pages_processed', 'events_processed', 'mcp_calls', 'genie_actions',
    ]) }}
{%- endmacro %}

{% macro reported_metrics() -%}
    {{ return(usage_metrics() + ['jobs_succeeded', 'jobs_failed']) }}
{%- endmacro %}


{% macro usage_by_day(usage, metrics, as_of) -%}
    select
        used.customer_id,
        used.metric,
        used.usage_date,
        metrics.month_aggregation,
        cast(sum(used.quantity) as bigint) as quantity
    from {{ usage }} as used
    cross join {{ as_of }} as as_of
    inner join {{ metrics }} as metrics
        on
            used.metric = metrics.metric
            and {{ is_in_force('metrics', rule_date('as_of.as_of_date')) }}
    group by used.customer_id, used.metric, used.usage_date, metrics.month_aggregation
{%- endmacro %}
