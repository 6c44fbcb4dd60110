with

readable_steps as (

    select * from {{ ref('readable_steps') }}

),

-- Those of earlier runs, too: whatever reads this model keeps the jobs in its scope.
repeated_steps as (

    select * from {{ ref('repeated_steps') }}

),

ranked_jobs as (

    select distinct
        customer_id,
        job_id
    from repeated_steps

),

-- Steps without a job are included: joins with jobs drop them, and stg_steps_without_job quarantines them.
steps_of_single_deliveries as (

    select readable_steps.*
    from readable_steps
    left join ranked_jobs
        on
            readable_steps.customer_id = ranked_jobs.customer_id
            and readable_steps.job_id = ranked_jobs.job_id
    where ranked_jobs.job_id is null

),

stg_steps as (

    select
        job_hash,
        customer_id,
        job_id,
        called_recipe_id,
        line_index,
        recipe_line_number,
        adapter_name,
        adapter_operation,
        keyword,
        status,
        error,
        page_count,
        message_count,
        duration_seconds,
        extracted_at
    from steps_of_single_deliveries

    union all

    select
        job_hash,
        customer_id,
        job_id,
        called_recipe_id,
        line_index,
        recipe_line_number,
        adapter_name,
        adapter_operation,
        keyword,
        status,
        error,
        page_count,
        message_count,
        duration_seconds,
        extracted_at
    from repeated_steps
    where is_winning_delivery

)

select * from stg_steps
