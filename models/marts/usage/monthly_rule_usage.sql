{{ config(materialized='incremental', incremental_strategy='by_touched_month') }}

with

as_of as (

    select * from {{ ref('as_of') }}

),

keys as (

    select
        *,
        cast(date_trunc('month', usage_date) as date) as usage_month
    from {{ ref('metered_step_keys') }}
    where
        {{ in_affected_months('usage_date') }}
        and (usage_date is null or usage_date <= (select as_of.as_of_date from as_of))

),

recipes as (

    select * from {{ ref('job_recipes') }}

),

operations as (

    select * from {{ ref('step_operations') }}

),

rulings as (

    select * from {{ ref('step_rulings') }}

),

-- Steps are added up by numbers, and get their words when they are few.
rolled_up as (

    select
        usage_month,
        recipe_hash,
        operation_hash,
        ruling_hash,
        count(*) as steps,
        sum(quantity) as quantity
    from keys
    group by usage_month, recipe_hash, operation_hash, ruling_hash

),

monthly_rule_usage as (

    select
        recipes.customer_id,
        operations.app,
        operations.adapter_name,
        rulings.rule_id,
        rulings.rule_override,
        rulings.metric,
        rulings.task_rule_id,
        rulings.task_rule_override,
        rulings.is_default_applied,
        rolled_up.usage_month,
        cast(sum(rolled_up.quantity) as bigint) as quantity,
        cast(sum(rolled_up.steps * rulings.tasks) as bigint) as tasks,
        cast(sum(rolled_up.steps) as bigint) as steps

    from rolled_up
    inner join recipes on rolled_up.recipe_hash = recipes.recipe_hash
    inner join operations on rolled_up.operation_hash = operations.operation_hash
    inner join rulings on rolled_up.ruling_hash = rulings.ruling_hash
    group by
        recipes.customer_id, rolled_up.usage_month, operations.app, operations.adapter_name,
        rulings.rule_id, rulings.rule_override, rulings.metric, rulings.task_rule_id, rulings.task_rule_override,
        rulings.is_default_applied

)

select * from monthly_rule_usage
