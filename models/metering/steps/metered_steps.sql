{{ config(materialized='view') }}

-- The view names no database, because readers attach the published file under a name of their choice.
with

facts as (

    select * from {{ ref('step_facts').include(database=false) }}

),

jobs as (

    select * from {{ ref('metered_jobs').include(database=false) }}

),

decisions as (

    select * from {{ ref('step_decisions').include(database=false) }}

),

decided as (

    select
        facts.*,
        jobs.customer_id,
        jobs.job_id,
        jobs.recipe_id,
        jobs.environment_type,
        jobs.is_admin,
        jobs.billing_context,
        decisions.adapter_name,
        decisions.app,
        decisions.operation,
        decisions.step_kind,
        decisions.metric,
        decisions.rule_id,
        decisions.rule_override,
        decisions.is_default_applied,
        decisions.tasks,
        decisions.task_rule_id,
        decisions.task_rule_override,
        {{ units_of_step('decisions', 'facts') }} as units

    from facts
    inner join jobs on facts.job_hash = jobs.job_hash
    inner join decisions on {{ is_decided_by('decisions', 'facts', 'jobs') }}

),

-- A missing or impossible count is 0 and flagged. It is never estimated.
measured as (

    select
        *,
        cast(case when units > 0 then units else 0 end as bigint) as quantity,
        metric is not null and coalesce(units < 0, true) as is_count_missing
    from decided

),

metered_steps as (

    select
        -- ids
        customer_id as account_id,
        customer_id,
        job_id,
        line_index,
        recipe_id,
        environment_type,
        is_admin,
        usage_date,

        -- what it is
        adapter_name,
        app,
        operation,
        step_kind,
        billing_context,

        -- the decision
        metric,
        quantity,
        rule_id,
        rule_override,
        is_default_applied,
        is_count_missing,

        -- the same work in tasks
        tasks,
        task_rule_id,
        task_rule_override

    from measured

)

select * from metered_steps
