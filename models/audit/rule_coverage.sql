with

rules as (

    select * from {{ ref('decision_rules') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

decisions as (

    select
        rule_id,
        quantity,
        steps as decisions
    from {{ ref('monthly_rule_usage') }}

    union all

    select
        task_rule_id as rule_id,
        tasks as quantity,
        steps as decisions
    from {{ ref('monthly_rule_usage') }}

    union all

    select
        rule_id,
        quantity,
        1 as decisions
    from {{ ref('metered_jobs') }}
    where usage_date is null or usage_date <= (select as_of.as_of_date from as_of)

    union all

    select
        rule_id,
        quantity,
        1 as decisions
    from {{ ref('metered_requests') }}
    where usage_date is null or usage_date <= (select as_of.as_of_date from as_of)

    union all

    select
        task_rule_id as rule_id,
        tasks as quantity,
        1 as decisions
    from {{ ref('metered_requests') }}
    where
        task_rule_id is not null
        and (usage_date is null or usage_date <= (select as_of.as_of_date from as_of))

    union all

    select
        rule_id,
        quantity,
        1 as decisions
    from {{ ref('metered_seats') }}

),

rule_coverage as (

    select
        rules.rule_id,
        rules.decides,
        rules.source,
        rules.rule,
        cast(coalesce(sum(decisions.quantity), 0) as bigint) as quantity,
        cast(coalesce(sum(decisions.decisions), 0) as bigint) as decisions

    from rules
    left join decisions on rules.rule_id = decisions.rule_id
    group by rules.rule_id, rules.decides, rules.source, rules.rule

)

select * from rule_coverage
