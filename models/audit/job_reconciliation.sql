{{ config(materialized='view') }}

-- The view names no database, because readers attach the published file under a name of their choice.
with

jobs as (

    select * from {{ ref('metered_jobs').include(database=false) }}

),

job_units as (

    select * from {{ ref('job_units').include(database=false) }}

),

compared as (

    select
        jobs.customer_id,
        jobs.job_id,
        cast(date_trunc('month', jobs.usage_date) as date) as usage_month,
        job_units.tasks as our_tasks,
        jobs.action_count as platform_count,
        job_units.steps,
        jobs.is_finished and not jobs.is_excluded as is_counted,
        job_units.tasks - jobs.action_count as difference
    from jobs
    inner join job_units on jobs.job_hash = job_units.job_hash
    where jobs.action_count is not null

),

job_reconciliation as (

    select
        customer_id,
        job_id,
        usage_month,
        our_tasks,
        platform_count,
        difference,
        case
            when difference = 0 then null
            when not is_counted then 'unexplained'
            when steps = 0 then 'jobs_without_lines'
            else 'platform_count'
        end as cause
    from compared

)

select * from job_reconciliation
