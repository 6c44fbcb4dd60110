with

readable_jobs as (

    select * from {{ ref('readable_jobs') }}

),

-- Those of earlier runs, too: whatever reads this model keeps the jobs in its scope.
repeated_jobs as (

    select * from {{ ref('repeated_jobs') }}
    where is_winning_delivery

),

delivered_once as (

    select readable_jobs.*
    from readable_jobs
    left join repeated_jobs
        on
            readable_jobs.customer_id = repeated_jobs.customer_id
            and readable_jobs.job_id = repeated_jobs.job_id
    where repeated_jobs.job_id is null

),

stg_jobs as (

    select
        job_hash,
        job_id,
        customer_id,
        recipe_id,
        master_job_id,
        calling_job_id,
        calling_recipe_id,
        root_job_id,
        root_recipe_id,
        environment_type,
        status,
        is_repeat,
        repeat_count,
        is_test,
        is_poll_error,
        action_count,
        error_type,
        error,
        started_at,
        completed_at,
        extracted_at,
        false as is_contradictory
    from delivered_once

    union all

    select
        job_hash,
        job_id,
        customer_id,
        recipe_id,
        master_job_id,
        calling_job_id,
        calling_recipe_id,
        root_job_id,
        root_recipe_id,
        environment_type,
        status,
        is_repeat,
        repeat_count,
        is_test,
        is_poll_error,
        action_count,
        error_type,
        error,
        started_at,
        completed_at,
        extracted_at,
        is_contradictory
    from repeated_jobs

)

select * from stg_jobs
