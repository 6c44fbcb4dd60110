/*
What is a customer's month made of, up to the as-of date? One row per unit of work, metric and rule that decided it,
with what did not count and why. `make explain CUSTOMER=… MONTH=…` prints it. By hand, in the project's folder:

    duckdb -readonly -csv -cmd "set variable customer_id = '1008'; set variable month = '2026-08'" \
        warehouse/usage.duckdb -f analyses/explain_month.sql
*/
with

rules as (

    select * from rules.decision_rules

),

as_of as (

    select last_date as as_of_date from marts.months
    where is_current_month

),

decisions as (

    select
        'steps' as units,
        customer_id,
        usage_date,
        metric,
        quantity,
        rule_id,
        rule_override
    from metering.metered_steps

    union all

    select
        'jobs' as units,
        customer_id,
        usage_date,
        metric,
        quantity,
        rule_id,
        rule_override
    from metering.metered_jobs

    union all

    select
        'requests' as units,
        customer_id,
        usage_date,
        metric,
        quantity,
        rule_id,
        rule_override
    from metering.metered_requests

    union all

    select
        'days of seats' as units,
        customer_id,
        usage_date,
        metric,
        quantity,
        rule_id,
        rule_override
    from metering.metered_seats

    union all

    select
        'steps, as tasks' as units,
        customer_id,
        usage_date,
        'tasks' as metric,
        tasks as quantity,
        task_rule_id as rule_id,
        task_rule_override as rule_override
    from metering.metered_steps

    union all

    select
        'requests, as tasks' as units,
        customer_id,
        usage_date,
        'tasks' as metric,
        tasks as quantity,
        task_rule_id as rule_id,
        task_rule_override as rule_override
    from metering.metered_requests
    where task_rule_id is not null

),

explain_month as (

    select
        decisions.units,
        decisions.metric,
        decisions.rule_id,
        rules.rule,
        -- seats are a level: the month's figure is the peak
        cast(
            case
                when decisions.units = 'days of seats' then max(decisions.quantity)
                else sum(decisions.quantity)
            end as bigint
        ) as quantity,
        min(rules.decision_order) as decision_order,
        count(*) as decided,
        case
            when decisions.rule_override is not null then 'override: ' || decisions.rule_override
            when rules.basis = 'D' then coalesce(rules.source || ', ', '') || 'our decision'
            else rules.source
        end as published_in

    from decisions
    inner join rules on decisions.rule_id = rules.rule_id
    where
        decisions.customer_id = cast(getvariable('customer_id') as varchar)
        and decisions.usage_date >= cast(getvariable('month') || '-01' as date)
        and decisions.usage_date < cast(getvariable('month') || '-01' as date) + interval '1' month
        and decisions.usage_date <= (select as_of.as_of_date from as_of)
    group by decisions.units, decisions.metric, decisions.rule_id, rules.rule, published_in

)

select * from explain_month
order by
    units in ('steps, as tasks', 'requests, as tasks') asc, metric asc nulls last, units asc,
    decision_order asc, rule_id asc, published_in asc nulls first
