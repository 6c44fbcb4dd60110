{{ config(materialized='view') }}

-- The view names no database, because readers attach the published file under a name of their choice.
with

units as (

    select * from {{ ref('monthly_unit_decisions').include(database=false) }}

),

seats as (

    select * from {{ ref('metered_seats').include(database=false) }}

),

monthly_decisions as (

    select
        usage_month,
        customer_id,
        is_admin,
        units,
        metric,
        rule_id,
        rule_override,
        recipe_id,
        decided,
        quantity
    from units

    union all

    -- Seats are a level: their month is the peak. They are few, and any of their months may change in a run.
    select
        cast(date_trunc('month', usage_date) as date) as usage_month,
        customer_id,
        is_admin,
        'days of seats' as units,
        metric,
        rule_id,
        rule_override,
        cast(null as string) as recipe_id,
        count(*) as decided,
        max(quantity) as quantity
    from seats
    group by cast(date_trunc('month', usage_date) as date), customer_id, is_admin, metric, rule_id, rule_override

)

select * from monthly_decisions
