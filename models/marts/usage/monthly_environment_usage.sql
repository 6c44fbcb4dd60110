with

usage_by_capability as (

    select * from {{ ref('usage_by_capability') }}

),

metrics as (

    select * from {{ ref('effective_metrics') }}

),

-- Seats are a level of the customer, and of no environment.
used as (

    select
        used.customer_id,
        used.environment_type,
        used.metric,
        used.quantity,
        cast(date_trunc('month', used.usage_date) as date) as usage_month

    from usage_by_capability as used
    inner join metrics
        on
            used.metric = metrics.metric
            and metrics.month_aggregation = 'sum'
            and {{ is_in_force('metrics', rule_date('used.usage_date')) }}

),

monthly_environment_usage as (

    select
        usage_month,
        customer_id,
        environment_type,
        cast(coalesce(sum(quantity) filter (where metric = 'tasks'), 0) as bigint) as tasks,
        cast(coalesce(sum(quantity) filter (where metric = 'business_actions'), 0) as bigint) as business_actions,
        cast(coalesce(sum(quantity) filter (where metric = 'api_calls'), 0) as bigint) as api_calls,
        cast(coalesce(sum(quantity) filter (where metric = 'pages_processed'), 0) as bigint) as pages_processed,
        cast(coalesce(sum(quantity) filter (where metric = 'events_processed'), 0) as bigint) as events_processed,
        cast(coalesce(sum(quantity) filter (where metric = 'mcp_calls'), 0) as bigint) as mcp_calls,
        cast(coalesce(sum(quantity) filter (where metric = 'genie_actions'), 0) as bigint) as genie_actions
    from used
    group by usage_month, customer_id, environment_type

)

select * from monthly_environment_usage
