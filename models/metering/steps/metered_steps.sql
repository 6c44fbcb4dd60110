{{ config(materialized='view') }}

-- Without the database's name: whoever attaches the published file gives it a name of their own.
with

keys as (

    select * from {{ ref('metered_step_keys').include(database=false) }}

),

jobs as (

    select * from {{ ref('metered_jobs').include(database=false) }}

),

operations as (

    select * from {{ ref('step_operations').include(database=false) }}

),

rulings as (

    select * from {{ ref('step_rulings').include(database=false) }}

),

metered_steps as (

    select
        -- ids
        jobs.customer_id as account_id,
        jobs.customer_id,
        jobs.job_id,
        keys.line_index,
        jobs.recipe_id,
        jobs.environment_type,
        keys.usage_date,

        -- what it is
        operations.adapter_name,
        operations.app,
        operations.operation,
        rulings.step_kind,
        jobs.billing_context,

        -- the decision
        rulings.metric,
        keys.quantity,
        rulings.rule_id,
        rulings.rule_override,
        rulings.is_default_applied,
        rulings.is_count_missing,

        -- the same work in tasks
        rulings.tasks,
        rulings.task_rule_id,
        rulings.task_rule_override

    from keys
    inner join jobs on keys.job_hash = jobs.job_hash
    inner join operations on keys.operation_hash = operations.operation_hash
    inner join rulings on keys.ruling_hash = rulings.ruling_hash

)

select * from metered_steps
