{{ config(
    materialized='incremental',
    incremental_strategy='by_touched_date',
    meta={'replaces_too': "metric in (select distinct levels.metric from rules.effective_metrics as levels where levels.month_aggregation = 'peak')"}
) }}

with

steps as (

    select * from {{ ref('daily_step_usage') }}
    where {{ in_affected_dates() }}

),

jobs as (

    select * from {{ ref('metered_jobs') }}
    where {{ in_affected_dates() }}

),

requests as (

    select * from {{ ref('metered_requests') }}
    where {{ in_affected_dates() }}

),

seats as (

    select * from {{ ref('metered_seats') }}

),

metrics as (

    select * from {{ ref('effective_metrics') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

counted as (

    select
        customer_id,
        usage_date,
        environment_type,
        recipe_id,
        metric,
        cast(null as string) as call_type,
        quantity
    from steps
    where metric is not null

    union all

    select
        customer_id,
        usage_date,
        environment_type,
        recipe_id,
        'tasks' as metric,
        cast(null as string) as call_type,
        tasks as quantity
    from steps

    union all

    select
        customer_id,
        usage_date,
        environment_type,
        recipe_id,
        metric,
        call_type,
        quantity
    from jobs
    where metric is not null

    union all

    select
        customer_id,
        usage_date,
        cast(null as string) as environment_type,
        recipe_id,
        metric,
        call_type,
        quantity
    from requests
    where metric is not null

    union all

    select
        customer_id,
        usage_date,
        cast(null as string) as environment_type,
        recipe_id,
        'tasks' as metric,
        cast(null as string) as call_type,
        tasks as quantity
    from requests

    union all

    select
        customer_id,
        usage_date,
        cast(null as string) as environment_type,
        cast(null as string) as recipe_id,
        metric,
        cast(null as string) as call_type,
        quantity
    from seats

),

-- The partner's own workspaces are in no customer figure (G13); what is dated after the as-of date is in none yet.
usage_by_capability as (

    select
        counted.customer_id,
        counted.usage_date,
        counted.environment_type,
        counted.recipe_id,
        metrics.capability,
        counted.metric,
        counted.call_type,
        cast(sum(counted.quantity) as bigint) as quantity

    from counted
    inner join metrics
        on
            counted.metric = metrics.metric
            and {{ is_in_force('metrics', rule_date('counted.usage_date')) }}
    where
        counted.usage_date <= (select as_of.as_of_date from as_of)
        and not {{ is_admin_account('counted.customer_id') }}
    group by
        counted.customer_id, counted.usage_date, counted.environment_type, counted.recipe_id,
        metrics.capability, counted.metric, counted.call_type
    having sum(counted.quantity) > 0

)

select * from usage_by_capability
