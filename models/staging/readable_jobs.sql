with

readable_jobs as (

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
        extract_name
    from {{ ref('base_jobs') }}
    where
        quarantine_reason is null
        and {{ delivered_in_this_run('job') }}

)

select * from readable_jobs
