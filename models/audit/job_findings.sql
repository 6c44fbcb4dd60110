{{ replaces('decided_job') }}

with

jobs as (

    select * from {{ ref('metered_jobs') }}

),

contexts as (

    select * from {{ ref('job_billing_contexts') }}

),

contradictory_delivery as (

    select
        job_hash,
        'contradictory delivery' as finding,
        'G9' as rule_id,
        customer_id,
        job_id as subject,
        'deliveries with the same extracted_at differ' as detail,
        cast(1 as bigint) as occurrences
    from {{ ref('repeated_jobs') }}
    where
        is_winning_delivery
        and is_contradictory

),

unsure_call as (

    select
        job_hash,
        case
            when is_in_cycle then 'call cycle'
            when is_orphan then 'function without caller'
            else 'mixed calls'
        end as finding,
        context_rule_id as rule_id,
        customer_id,
        job_id as subject,
        'read as ' || billing_context as detail,
        cast(1 as bigint) as occurrences
    from contexts
    where is_in_cycle or is_orphan or is_mixed_call

),

-- The usage of such a job is unknown: the platform omits the lines of a job whose file would become too large.
job_without_steps as (

    select
        jobs.job_hash,
        'job without steps' as finding,
        cast(null as string) as rule_id,
        jobs.customer_id,
        jobs.job_id as subject,
        jobs.status
        || coalesce(', the platform says ' || cast(jobs.action_count as string) || ' actions', '') as detail,
        cast(1 as bigint) as occurrences
    from jobs
    inner join {{ ref('job_units') }} as job_units on jobs.job_hash = job_units.job_hash
    where
        jobs.is_finished
        and not jobs.is_poll_error
        and job_units.steps = 0

),

-- The job has a final status without a completion time. It has no usage date, and counts as still running.
ended_without_time as (

    select
        job_hash,
        'completion time missing' as finding,
        'G10' as rule_id,
        customer_id,
        job_id as subject,
        status || ', and not counted' as detail,
        cast(1 as bigint) as occurrences
    from jobs
    where
        status in ('succeeded', 'failed')
        and not is_finished

),

job_findings as (

    select
        job_hash,
        finding,
        rule_id,
        customer_id,
        subject,
        detail,
        occurrences
    from {{ ref('step_findings') }}
    union all
    select * from ended_without_time
    union all
    select * from contradictory_delivery
    union all
    select * from unsure_call
    union all
    select * from job_without_steps

)

select * from job_findings
