{{ replaces('decided_job') }}

with

jobs as (

    select * from {{ ref('metered_jobs') }}

),

facts as (

    select * from {{ ref('step_facts') }}

),

-- The predicates that the findings use.
decisions as (

    select
        *,
        rule_id = 'S-FAILED' as is_failed,
        rule_id = 'S-CONTROL' as is_control,
        rule_id in ('S-CONTROL', 'S-SKIPPED') as is_not_run
    from {{ ref('step_decisions') }}

),

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
    inner join jobs on facts.job_hash = jobs.job_hash
    inner join decisions on {{ is_decided_by('decisions', 'facts', 'jobs') }}
    where
        (decisions.quantity_from = 'page_count' and coalesce(facts.page_count < 0, true))
        or (decisions.quantity_from = 'message_count' and coalesce(facts.message_count < 0, true))

),

-- Failed steps of succeeded jobs. The extract may use a text for "no error" that is read as an error.
failed_steps as (

    select
        jobs.job_hash,
        cast(count(*) as bigint) as failed_steps
    from facts
    inner join jobs on facts.job_hash = jobs.job_hash
    inner join decisions on {{ is_decided_by('decisions', 'facts', 'jobs') }}
    where
        jobs.status = 'succeeded'
        and decisions.is_failed
    group by jobs.job_hash

),

jobs_with_other_steps as (

    select distinct jobs.job_hash
    from facts
    inner join failed_steps on facts.job_hash = failed_steps.job_hash
    inner join jobs on facts.job_hash = jobs.job_hash
    inner join decisions on {{ is_decided_by('decisions', 'facts', 'jobs') }}
    where not decisions.is_failed and not decisions.is_not_run

),

every_step_failed as (

    select
        jobs.job_hash,
        'every step failed' as finding,
        'S-FAILED' as rule_id,
        jobs.customer_id,
        jobs.job_id as subject,
        'the job succeeded' as detail,
        failed_steps.failed_steps as occurrences
    from failed_steps
    inner join jobs on failed_steps.job_hash = jobs.job_hash
    left join jobs_with_other_steps on failed_steps.job_hash = jobs_with_other_steps.job_hash
    where jobs_with_other_steps.job_hash is null

),

-- A job begins with its trigger, which has an adapter. The extract may name the column of adapters otherwise.
trigger_without_adapter as (

    select
        jobs.job_hash,
        'trigger without adapter' as finding,
        decisions.rule_id,
        jobs.customer_id,
        jobs.job_id as subject,
        'its first step names none, and reads as control' as detail,
        cast(1 as bigint) as occurrences
    from facts
    inner join jobs on facts.job_hash = jobs.job_hash
    inner join decisions on {{ is_decided_by('decisions', 'facts', 'jobs') }}
    where
        facts.line_index = 0
        and decisions.is_control

),

step_findings as (

    select * from count_missing
    union all
    select * from every_step_failed
    union all
    select * from trigger_without_adapter

)

select * from step_findings
