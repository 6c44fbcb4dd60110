-- Why did this job count? Every line of a job and of the jobs that it called, with the rule that decided it and where
-- the rule is published. `make explain JOB=…` prints it; by hand:
--     dbt compile --select explain_job --vars '{explain_job_id: j-example-14}'
{% set job_id = literal(var('explain_job_id', 'j-example-14')) %}
{% set customer_id = literal(var('explain_customer_id', '')) %}

with recursive

jobs as (

    select * from {{ ref('metered_jobs') }}

),

steps as (

    select * from {{ ref('metered_steps') }}

),

contexts as (

    select * from {{ ref('job_billing_contexts') }}

),

apps as (

    select * from {{ ref('apps') }}

),

recipes as (

    select * from {{ ref('stg_recipes') }}
    where is_latest

),

rules as (

    select * from {{ ref('decision_rules') }}

),

-- The job and whatever it called, at any depth; a cycle ends where it comes back.
family as (

    select
        customer_id,
        job_id
    from jobs
    where
        job_id = {{ job_id }}
        and (customer_id = {{ customer_id }} or {{ customer_id }} = '')

    union

    select
        jobs.customer_id,
        jobs.job_id
    from family
    inner join jobs
        on
            family.customer_id = jobs.customer_id
            and family.job_id = jobs.calling_job_id

),

units as (

    select
        customer_id,
        job_id,
        cast(null as bigint) as line_index,
        'the job itself' as unit,
        recipe_type as unit_kind,
        metric,
        quantity,
        cast(0 as bigint) as tasks,
        rule_id
    from jobs

    union all

    select
        steps.customer_id,
        steps.job_id,
        steps.line_index,
        coalesce(apps.app_name, steps.adapter_name, 'control') || coalesce(' ' || steps.operation, '') as unit,
        steps.step_kind as unit_kind,
        steps.metric,
        steps.quantity,
        steps.tasks,
        steps.rule_id
    from steps
    inner join jobs
        on
            steps.customer_id = jobs.customer_id
            and steps.job_id = jobs.job_id
    left join apps
        on
            steps.adapter_name = apps.adapter_name
            and {{ is_in_force('apps', 'jobs.rule_date') }}

),

explain_job as (

    select
        jobs.customer_id,
        jobs.job_id,
        jobs.recipe_id,
        recipes.recipe_name,
        jobs.status,
        jobs.completed_at,
        jobs.usage_date,
        jobs.billing_context,
        contexts.context_rule_id,
        contexts.calling_job_id,
        contexts.call_mode,
        units.line_index,
        units.unit,
        units.unit_kind,
        units.metric,
        units.quantity,
        units.tasks,
        units.rule_id,
        rules.rule,
        case
            when rules.basis = 'D' then coalesce(rules.source || ', ', '') || 'our decision'
            else rules.source
        end as published_in

    from family
    inner join jobs
        on
            family.customer_id = jobs.customer_id
            and family.job_id = jobs.job_id
    inner join contexts
        on
            family.customer_id = contexts.customer_id
            and family.job_id = contexts.job_id
    inner join units
        on
            family.customer_id = units.customer_id
            and family.job_id = units.job_id
    inner join rules on units.rule_id = rules.rule_id
    left join recipes
        on
            jobs.customer_id = recipes.customer_id
            and jobs.recipe_id = recipes.recipe_id

)

select * from explain_job
order by
    customer_id asc, job_id <> {{ job_id }} asc, completed_at asc nulls last,
    job_id asc, line_index asc nulls first
