-- The rule book says of each rule what it decides on; it decides on nothing else.
with

decided as (

    select
        rule_id,
        'step' as decides
    from {{ ref('monthly_rule_usage') }}

    union

    select
        task_rule_id as rule_id,
        'task' as decides
    from {{ ref('monthly_rule_usage') }}

    union

    select
        rule_id,
        'job' as decides
    from {{ ref('metered_jobs') }}

    union

    select
        rule_id,
        'request' as decides
    from {{ ref('metered_requests') }}

    union

    select
        task_rule_id as rule_id,
        'task' as decides
    from {{ ref('metered_requests') }}

    union

    select
        rule_id,
        'seat' as decides
    from {{ ref('metered_seats') }}

)

select
    decided.rule_id,
    decided.decides,
    rules.decides as said
from decided
inner join {{ ref('decision_rules') }} as rules on decided.rule_id = rules.rule_id
where decided.decides is distinct from rules.decides
