{{ replaces('month') }}

with

steps as (

    select * from {{ ref('monthly_step_decisions') }}

),

recipes as (

    select * from {{ ref('job_recipes') }}

),

monthly_rule_usage as (

    select
        recipes.customer_id,
        recipes.is_admin,
        steps.app,
        steps.adapter_name,
        steps.rule_id,
        steps.rule_override,
        steps.metric,
        steps.task_rule_id,
        steps.task_rule_override,
        steps.is_default_applied,
        steps.usage_month,
        cast(sum(steps.quantity) as bigint) as quantity,
        cast(sum(steps.tasks) as bigint) as tasks,
        cast(sum(steps.steps) as bigint) as steps

    from steps
    inner join recipes on steps.recipe_hash = recipes.recipe_hash
    group by
        recipes.customer_id, recipes.is_admin, steps.usage_month, steps.app, steps.adapter_name, steps.rule_id,
        steps.rule_override, steps.metric, steps.task_rule_id, steps.task_rule_override, steps.is_default_applied

)

select * from monthly_rule_usage
