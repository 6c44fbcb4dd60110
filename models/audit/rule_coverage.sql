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
        rule_override,
        quantity,
        steps as decisions
    from {{ ref('monthly_rule_usage') }}

    union all

    select
        task_rule_id as rule_id,
        task_rule_override as rule_override,
        tasks as quantity,
        steps as decisions
    from {{ ref('monthly_rule_usage') }}

    union all

    select
        rule_id,
        rule_override,
        quantity,
        1 as decisions
    from {{ ref('metered_jobs') }}
    where usage_date is null or usage_date <= (select as_of.as_of_date from as_of)

    union all

    select
        rule_id,
        rule_override,
        quantity,
        1 as decisions
    from {{ ref('metered_requests') }}
    where usage_date is null or usage_date <= (select as_of.as_of_date from as_of)

    union all

    select
        task_rule_id as rule_id,
        task_rule_override as rule_override,
        tasks as quantity,
        1 as decisions
    from {{ ref('metered_requests') }}
    where
        task_rule_id is not null
        and (usage_date is null or usage_date <= (select as_of.as_of_date from as_of))

    union all

    select
        rule_id,
        rule_override,
        quantity,
        1 as decisions
    from {{ ref('metered_seats') }}

),

-- Added up before the join: there is a row for each job.
decisions_by_rule as (

    select
        rule_id,
        rule_override,
        sum(quantity) as quantity,
        sum(decisions) as decisions
    from decisions
    group by rule_id, rule_override

),

-- Each published rule, also if it decided nothing, and each override of it, whether or not it is in force.
rows_of_rules as (

    select
        rule_id,
        cast(null as string) as rule_override
    from rules

    {% for table in [
        'app_eligibility', 'operation_metrics', 'control_keywords', 'call_operations', 'recipe_types', 'proxy_operations',
        'billing_contexts_by_recipe_type', 'billing_contexts_by_call', 'context_rules', 'request_rules', 'seat_rules',
        'task_rules',
    ] %}
        union

        select
            rule_id,
            rule_override
        from {{ ref('effective_' ~ table) }}
        where rule_override is not null
    {% endfor %}

    union

    select
        rule_id,
        rule_override
    from decisions_by_rule

),

rule_coverage as (

    select
        rows_of_rules.rule_id,
        rows_of_rules.rule_override,
        rules.decides,
        rules.source,
        rules.rule,
        cast(coalesce(decided.quantity, 0) as bigint) as quantity,
        cast(coalesce(decided.decisions, 0) as bigint) as decisions

    from rows_of_rules
    inner join rules on rows_of_rules.rule_id = rules.rule_id
    left join decisions_by_rule as decided
        on
            rows_of_rules.rule_id = decided.rule_id
            and rows_of_rules.rule_override is not distinct from decided.rule_override

)

select * from rule_coverage
