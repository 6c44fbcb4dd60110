{{ config(materialized='view') }}

-- The view names no database, because readers attach the published file under a name of their choice.
with

daily_usage as (

    select * from {{ ref('daily_usage').include(database=false) }}

),

seats as (

    select * from {{ ref('metered_seats').include(database=false) }}

),

metrics as (

    select * from {{ ref('effective_metrics').include(database=false) }}

),

as_of as (

    select * from {{ ref('as_of').include(database=false) }}

),

-- Seats are a level. They are few, so each day has a row.
counted as (

    select
        customer_id,
        usage_date,
        environment_type,
        recipe_id,
        is_admin,
        metric,
        call_type,
        quantity
    from daily_usage

    union all

    select
        customer_id,
        usage_date,
        cast(null as string) as environment_type,
        cast(null as string) as recipe_id,
        is_admin,
        metric,
        cast(null as string) as call_type,
        cast(sum(quantity) as bigint) as quantity
    from seats
    group by customer_id, usage_date, is_admin, metric
    having sum(quantity) > 0

),

-- No customer figure contains the partner's own workspaces (G13), or usage after the as-of date.
usage_by_capability as (

    select
        counted.customer_id,
        counted.usage_date,
        counted.environment_type,
        counted.recipe_id,
        metrics.capability,
        counted.metric,
        counted.call_type,
        counted.quantity

    from counted
    inner join metrics
        on
            counted.metric = metrics.metric
            and {{ is_in_force('metrics', rule_date('counted.usage_date')) }}
    where
        counted.usage_date <= (select as_of.as_of_date from as_of)
        and not counted.is_admin

)

select * from usage_by_capability
