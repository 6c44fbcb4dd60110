{{ config(materialized='view') }}
{% set metrics = usage_metrics() | reject('equalto', 'tasks') | list %}
{% set task_columns = ['tasks', 'tasks_t1', 'tasks_t2', 'tasks_t3'] %}
{% set steps_to_look_at = [
    'steps', 'steps_without_pages', 'steps_without_messages', 'steps_counted_by_default', 'steps_left_out_by_default',
] %}
{% set flags = {
    'jobs_succeeded': "not jobs.is_excluded and jobs.status = 'succeeded'",
    'jobs_failed': "not jobs.is_excluded and jobs.status = 'failed'",
    'jobs_not_counted': "jobs.is_poll_error or jobs.status = 'canceled'",
} %}

-- The view names no database, because readers attach the published file under a name of their choice.
with

as_of as (

    select * from {{ ref('as_of').include(database=false) }}

),

metered_jobs as (

    select * from {{ ref('metered_jobs').include(database=false) }}

),

metered_requests as (

    select * from {{ ref('metered_requests').include(database=false) }}

),

job_units as (

    select * from {{ ref('job_units').include(database=false) }}

),

jobs as (

    select
        jobs.customer_id,
        jobs.usage_date,
        jobs.completed_at as happened_at,
        jobs.extracted_at,
        not jobs.is_excluded as is_job,
        jobs.action_count,
        {% for column in task_columns + metrics + steps_to_look_at %}
            job_units.{{ column }},
        {% endfor %}
        {% for column, condition in flags.items() %}
            cast(case when {{ condition }} then 1 end as bigint) as {{ column }},
        {% endfor %}
        cast(null as bigint) as api_requests_without_job,
        cast(null as bigint) as mcp_requests_without_job

    -- readers ask for some days, so there are fewer jobs than units of jobs
    from job_units
    inner join metered_jobs as jobs on job_units.job_hash = jobs.job_hash
    where not jobs.is_admin

),

-- Requests that count themselves, and those that a job should have counted which is missing or unfinished.
requests as (

    select
        requests.customer_id,
        {{ local_date('requests.requested_at') }} as usage_date,
        requests.requested_at as happened_at,
        requests.extracted_at,
        false as is_job,
        cast(null as bigint) as action_count,
        {% for column in task_columns %}
            requests.tasks {{- ' as ' ~ column if column != 'tasks' }},
        {% endfor %}
        {% for metric in metrics %}
            case when requests.metric = '{{ metric }}' then requests.quantity end as {{ metric }},
        {% endfor %}
        {% for column in steps_to_look_at + flags.keys() | list %}
            cast(null as bigint) as {{ column }},
        {% endfor %}
        case when requests.job_id is not null and not requests.is_mcp then 1 end as api_requests_without_job,
        case when requests.job_id is not null and requests.is_mcp then 1 end as mcp_requests_without_job

    from metered_requests as requests
    left join metered_jobs as jobs
        on
            requests.customer_id = jobs.customer_id
            and requests.job_id = jobs.job_id
    where
        not requests.is_admin
        and requests.is_successful
        and not coalesce(jobs.is_finished, false)
        and (requests.metric is not null or requests.job_id is not null)

),

units as (

    select * from jobs
    union all
    select * from requests

),

dated_units as (

    select
        *,
        {{ local_date('happened_at', vendor_timezone()) }} as vendor_date
    from units
    where usage_date <= (select as_of.as_of_date from as_of)

)

select * from dated_units
