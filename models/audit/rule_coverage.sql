with

rules as (

    select * from {{ ref('decision_rules') }}

),

decisions as (

    select
        rule_id,
        metric,
        quantity
    from {{ ref('metered_steps') }}

    union all

    select
        task_rule_id as rule_id,
        'tasks' as metric,
        tasks as quantity
    from {{ ref('metered_steps') }}

    union all

    select
        rule_id,
        metric,
        quantity
    from {{ ref('metered_jobs') }}

    union all

    select
        rule_id,
        metric,
        quantity
    from {{ ref('metered_requests') }}

    union all

    select
        task_rule_id as rule_id,
        'tasks' as metric,
        tasks as quantity
    from {{ ref('metered_requests') }}
    where task_rule_id is not null

    union all

    select
        rule_id,
        metric,
        quantity
    from {{ ref('metered_seats') }}

),

rule_coverage as (

    select
        rules.rule_id,
        rules.decides,
        rules.source,
        rules.rule,
        cast(coalesce(sum(decisions.quantity), 0) as bigint) as quantity,
        count(decisions.rule_id) as decisions

    from rules
    left join decisions on rules.rule_id = decisions.rule_id
    group by rules.rule_id, rules.decides, rules.source, rules.rule

)

select * from rule_coverage
