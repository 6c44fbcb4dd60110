{{ replaces('month') }}

with

as_of as (

    select * from {{ ref('as_of') }}

),

counts as (

    select
        *,
        cast(date_trunc('month', usage_date) as date) as usage_month
    from {{ ref('daily_step_counts') }}
    where
        (usage_date is null or usage_date <= (select as_of.as_of_date from as_of))
        and {{ in_affected('date_of_month') }}

),

decisions as (

    select * from {{ ref('step_decisions') }}

),

-- Counts are added up by integer keys; texts are joined to the few resulting rows.
added_up as (

    select
        counts.usage_month,
        counts.recipe_hash,
        decisions.decision_id,
        sum({{ quantity_of_steps('decisions', 'counts') }}) as quantity,
        sum(counts.steps) as steps

    from counts
    inner join decisions on {{ is_decided_by('decisions', 'counts', 'counts') }}
    group by counts.usage_month, counts.recipe_hash, decisions.decision_id

),

-- Texts are stored, because the next run numbers decisions anew and keeps the rows of other months.
monthly_step_decisions as (

    select
        added_up.usage_month,
        added_up.recipe_hash,
        decisions.app,
        decisions.adapter_name,
        decisions.rule_id,
        decisions.rule_override,
        decisions.metric,
        decisions.task_rule_id,
        decisions.task_rule_override,
        decisions.is_default_applied,
        cast(sum(added_up.quantity) as bigint) as quantity,
        cast(sum(added_up.steps * decisions.tasks) as bigint) as tasks,
        cast(sum(added_up.steps) as bigint) as steps

    from added_up
    inner join decisions on added_up.decision_id = decisions.decision_id
    group by
        added_up.usage_month, added_up.recipe_hash, decisions.app, decisions.adapter_name, decisions.rule_id,
        decisions.rule_override, decisions.metric, decisions.task_rule_id, decisions.task_rule_override,
        decisions.is_default_applied

)

select * from monthly_step_decisions
