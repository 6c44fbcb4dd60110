/*
Why did this job count? One row per line of a job and of the jobs that it called, with the rule that decided it and
where the rule is published. `make explain JOB=…` prints it. By hand, in the project's folder:

    duckdb -readonly -csv -cmd "set variable job_id = 'j-example-14'" warehouse/usage.duckdb -f analyses/explain_job.sql

Where several customers have a job of this id, set the variable customer_id too.
*/
with recursive

-- Not materialized, because each reader needs few of the rows.
jobs as not materialized (

    select * from metering.metered_jobs

),

contexts as (

    select * from metering.job_billing_contexts

),

apps as (

    select * from metering.apps

),

-- The name in each recipe's latest listing.
recipes as (

    select
        customer_id,
        recipe_id,
        recipe_name
    from marts.recipe_history
    qualify row_number() over (partition by customer_id, recipe_id order by last_listed_at desc) = 1

),

rules as (

    select * from rules.decision_rules

),

-- Jobs with the platform's own count of actions.
compared as not materialized (

    select * from audit.job_reconciliation

),

-- The job and the jobs that it called, at any depth. Union drops repeated rows, so a cycle ends.
family as (

    select
        customer_id,
        job_id
    from jobs
    where
        job_id = cast(getvariable('job_id') as varchar)
        and customer_id = coalesce(cast(getvariable('customer_id') as varchar), customer_id)

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

-- A list of ids filters the jobs before they are joined to their steps; a join to the family would do so after it.
steps as (

    select metered_steps.* from metering.metered_steps
    where list_contains((select list(family.job_id) from family), metered_steps.job_id)

),

family_jobs as (

    select jobs.*
    from family
    inner join jobs
        on
            family.customer_id = jobs.customer_id
            and family.job_id = jobs.job_id

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
        rule_id,
        rule_override
    from family_jobs

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
        steps.rule_id,
        -- each override once: it may have decided on both
        nullif(
            concat_ws('; ', steps.rule_override, nullif(steps.task_rule_override, steps.rule_override)), ''
        ) as rule_override
    from steps
    inner join family_jobs
        on
            steps.customer_id = family_jobs.customer_id
            and steps.job_id = family_jobs.job_id
    left join apps
        on
            steps.adapter_name = apps.adapter_name
            and family_jobs.rule_date >= apps.effective_from
            and family_jobs.rule_date < coalesce(apps.effective_to, cast('9999-12-31' as date))

),

explain_job as (

    select
        family_jobs.customer_id,
        family_jobs.job_id,
        family_jobs.recipe_id,
        recipes.recipe_name,
        family_jobs.status,
        family_jobs.completed_at,
        family_jobs.usage_date,
        family_jobs.billing_context,
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
        compared.platform_count,
        compared.difference,
        compared.cause,
        case
            when units.rule_override is not null then 'override: ' || units.rule_override
            when rules.basis = 'D' then coalesce(rules.source || ', ', '') || 'our decision'
            else rules.source
        end as published_in

    from family_jobs
    inner join contexts
        on
            family_jobs.customer_id = contexts.customer_id
            and family_jobs.job_id = contexts.job_id
    inner join units
        on
            family_jobs.customer_id = units.customer_id
            and family_jobs.job_id = units.job_id
    inner join rules on units.rule_id = rules.rule_id
    left join recipes
        on
            family_jobs.customer_id = recipes.customer_id
            and family_jobs.recipe_id = recipes.recipe_id
    left join compared
        on
            family_jobs.customer_id = compared.customer_id
            and family_jobs.job_id = compared.job_id

)

select * from explain_job
order by
    customer_id asc, job_id <> cast(getvariable('job_id') as varchar) asc, completed_at asc nulls last,
    job_id asc, line_index asc nulls first
