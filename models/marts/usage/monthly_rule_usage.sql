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
    where usage_date is null or usage_date <= (select as_of.as_of_date from as_of)

),

recipes as (

    select * from {{ ref('job_recipes') }}

),

decisions as (

    select * from {{ ref('step_decisions') }}

),

-- Counts are added up by numbers, and get their words when they are few.
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

monthly_rule_usage as (

    select
        recipes.customer_id,
        decisions.app,
        decisions.adapter_name,
        decisions.rule_id,
        decisions.rule_override,
        decisions.metric,
        decisions.task_rule_id,
        decisions.task_rule_override,
        decisions.is_default_applied,
        added_up.usage_month,
        cast(sum(added_up.quantity) as bigint) as quantity,
        cast(sum(added_up.steps * decisions.tasks) as bigint) as tasks,
        cast(sum(added_up.steps) as bigint) as steps

    from added_up
    inner join recipes on added_up.recipe_hash = recipes.recipe_hash
    inner join decisions on added_up.decision_id = decisions.decision_id
    group by
        recipes.customer_id, added_up.usage_month, decisions.app, decisions.adapter_name,
        decisions.rule_id, decisions.rule_override, decisions.metric, decisions.task_rule_id,
        decisions.task_rule_override, decisions.is_default_applied

)

select * from monthly_rule_usage
