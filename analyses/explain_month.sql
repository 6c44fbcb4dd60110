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

decisions as (

    select * from marts.monthly_decisions

),

explain_month as (

    select
        decisions.units,
        decisions.metric,
        decisions.rule_id,
        rules.rule,
        cast(sum(decisions.quantity) as bigint) as quantity,
        cast(sum(decisions.decided) as bigint) as decided,
        min(rules.decision_order) as decision_order,
        case
            when decisions.rule_override is not null then 'override: ' || decisions.rule_override
            when rules.basis = 'D' then coalesce(rules.source || ', ', '') || 'our decision'
            else rules.source
        end as published_in

    from decisions
    inner join rules on decisions.rule_id = rules.rule_id
    where
        decisions.customer_id = cast(getvariable('customer_id') as varchar)
        and decisions.usage_month = cast(getvariable('month') || '-01' as date)
    group by decisions.units, decisions.metric, decisions.rule_id, rules.rule, published_in

)

select * from explain_month
order by
    units in ('steps, as tasks', 'requests, as tasks') asc, metric asc nulls last, units asc,
    decision_order asc, rule_id asc, published_in asc nulls first
