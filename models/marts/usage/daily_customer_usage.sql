{{ replaces('billed_month') }}

with

usage_by_capability as (

    select * from {{ ref('usage_by_capability') }}
    where {{ in_affected('billed_date') }}

),

metrics as (

    select * from {{ ref('effective_metrics') }}

),

daily as (

    select
        used.customer_id,
        cast(date_trunc('month', used.usage_date) as date) as usage_month,
        used.usage_date,
        used.metric,
        used.call_type,
        metrics.month_aggregation,
        metrics.is_billed_by_business_actions,
        metrics.is_billed_by_tasks,
        cast(sum(used.quantity) as bigint) as quantity

    from usage_by_capability as used
    inner join metrics
        on
            used.metric = metrics.metric
            and {{ is_in_force('metrics', rule_date('used.usage_date')) }}
    group by
        used.customer_id, usage_month, used.usage_date, used.metric, used.call_type,
        metrics.month_aggregation, metrics.is_billed_by_business_actions, metrics.is_billed_by_tasks

),

ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, usage_month, metric, call_type order by quantity desc, usage_date asc
        ) as peak_rank
    from daily

),

-- A flow adds up over the days; a level counts once a month, on the first day of its peak.
daily_customer_usage as (

    select
        usage_month,
        usage_date,
        customer_id,
        metric,
        call_type,
        quantity,
        is_billed_by_business_actions,
        is_billed_by_tasks,
        month_aggregation = 'sum' or peak_rank = 1 as is_in_month_figure

    from ranked

)

select * from daily_customer_usage
