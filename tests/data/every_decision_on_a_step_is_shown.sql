-- metered_steps shows every step, once: none lacks a decision, none has two. What the days' counts add up to is what it
-- shows. (That every step used is a fact is extract_rows_are_conserved.)
with

kept as (

    select
        usage_date,
        count(*) as steps
    from {{ ref('step_facts') }}
    where {{ in_affected('date') }}
    group by usage_date

),

shown as (

    select
        usage_date,
        count(*) as steps,
        sum(quantity) as quantity,
        sum(tasks) as tasks
    from {{ ref('metered_steps') }}
    where {{ in_affected('date') }}
    group by usage_date

),

added_up as (

    select
        usage_date,
        sum(quantity) as quantity,
        sum(tasks) as tasks
    from {{ ref('daily_step_usage') }}
    where {{ in_affected('date') }}
    group by usage_date

)

select
    kept.usage_date,
    kept.steps,
    shown.steps as steps_shown,
    shown.quantity as quantity_shown,
    added_up.quantity,
    shown.tasks as tasks_shown,
    added_up.tasks
from kept
left join shown on kept.usage_date is not distinct from shown.usage_date
left join added_up on kept.usage_date is not distinct from added_up.usage_date
where
    kept.steps is distinct from shown.steps
    or shown.quantity is distinct from added_up.quantity
    or shown.tasks is distinct from added_up.tasks
