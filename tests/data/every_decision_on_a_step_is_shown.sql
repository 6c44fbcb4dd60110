-- metered_steps shows every decision that is kept, once: none finds no words for itself, none finds two. (That every
-- step has a decision is extract_rows_are_conserved: the rows used are counted there as decisions.)
with

kept as (

    select
        usage_date,
        count(*) as decisions,
        sum(quantity) as quantity
    from {{ ref('metered_step_keys') }}
    where {{ in_affected_dates() }}
    group by usage_date

),

shown as (

    select
        usage_date,
        count(*) as decisions,
        sum(quantity) as quantity
    from {{ ref('metered_steps') }}
    where {{ in_affected_dates() }}
    group by usage_date

)

select
    kept.usage_date,
    kept.decisions,
    shown.decisions as decisions_shown
from kept
left join shown on kept.usage_date is not distinct from shown.usage_date
where
    kept.decisions is distinct from shown.decisions
    or kept.quantity is distinct from shown.quantity
