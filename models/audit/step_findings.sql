{{ replaces('decided_job') }}

with

-- The engine does not push the run's scope below these joins.
jobs as (

    select * from {{ ref('metered_jobs') }}
    where {{ in_this_run('decided_job') }}

),

facts as (

    select * from {{ ref('step_facts') }}
    where {{ in_this_run('decided_job') }}

),

job_units as (

    select * from {{ ref('job_units') }}
    where {{ in_this_run('decided_job') }}

),

decisions as (

    select * from {{ ref('step_decisions') }}

),

-- Only steps of jobs that lack a count are read.
count_missing as (

    select
        jobs.job_hash,
        'count missing' as finding,
        decisions.rule_id,
        jobs.customer_id,
        jobs.job_id as subject,
        'line ' || cast(facts.line_index as string) || ' says no ' || decisions.metric as detail,
        cast(1 as bigint) as occurrences
    from facts
    inner join job_units on facts.job_hash = job_units.job_hash
    inner join jobs on facts.job_hash = jobs.job_hash
    inner join decisions on {{ is_decided_by('decisions', 'facts', 'jobs') }}
    where
        job_units.steps_without_count > 0
        and (
            (decisions.quantity_from = 'page_count' and coalesce(facts.page_count < 0, true))
            or (decisions.quantity_from = 'message_count' and coalesce(facts.message_count < 0, true))
        )

),

-- The extract may use a text for "no error" that is read as an error.
every_step_failed as (

    select
        jobs.job_hash,
        'every step failed' as finding,
        'S-FAILED' as rule_id,
        jobs.customer_id,
        jobs.job_id as subject,
        'the job succeeded' as detail,
        job_units.failed_steps as occurrences
    from job_units
    inner join jobs on job_units.job_hash = jobs.job_hash
    where
        jobs.status = 'succeeded'
        and job_units.failed_steps > 0
        and job_units.other_steps = 0

),

-- A job begins with its trigger, which has an adapter. The extract may name the column of adapters otherwise.
trigger_without_adapter as (

    select
        jobs.job_hash,
        'trigger without adapter' as finding,
        'S-CONTROL' as rule_id,
        jobs.customer_id,
        jobs.job_id as subject,
        'its first step names none, and reads as control' as detail,
        cast(1 as bigint) as occurrences
    from job_units
    inner join jobs on job_units.job_hash = jobs.job_hash
    where job_units.is_trigger_control

),

step_findings as (

    select * from count_missing
    union all
    select * from every_step_failed
    union all
    select * from trigger_without_adapter

)

select * from step_findings
