{{ config(meta={'is_never_kept': true}) }}

with

closed_figures as (

    select * from {{ source('run_state', 'closed_figures') }}

),

closed_months as (

    select * from {{ source('run_state', 'closed_months') }}

),

restatements as (

    select * from {{ source('run_state', 'restatements') }}

),

-- Pseudonyms: their current figures are erased, so nothing adds up to them.
erased_customers as (

    select * from {{ source('run_state', 'erased_customers') }}

),

figures as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        quantity as known_quantity,
        0 as quantity
    from closed_figures

    union all

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        restated_quantity - retracted_quantity as known_quantity,
        0 as quantity
    from restatements

    union all

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        0 as known_quantity,
        quantity
    from {{ ref('monthly_figures') }}
    where usage_month in (select closed_months.usage_month from closed_months)

),

closed_month_figures as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        cast(sum(known_quantity) as decimal(38, 9)) as known_quantity,
        cast(sum(quantity) as decimal(38, 9)) as quantity
    from figures
    where
        {{ 'true' if compares_closes() else 'false' }}
        and customer_id not in (select erased_customers.customer_id from erased_customers)
    group by usage_month, customer_id, metric, call_type
    having sum(known_quantity) <> 0 or sum(quantity) <> 0

)

select * from closed_month_figures
