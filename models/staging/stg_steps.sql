{{ config(materialized='view') }}

with

readable_steps as (

    select
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
    from {{ ref('base_steps') }}
    where quarantine_reason is null

    union all

    select
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
    from {{ ref('base_job_history_lines') }}
    where quarantine_reason is null

),

repeated_steps as (

    select * from {{ ref('repeated_steps') }}

),

stg_jobs as (

    select
        customer_id,
        job_id
    from {{ ref('stg_jobs') }}

),

settled_jobs as (

    select distinct
        customer_id,
        job_id
    from repeated_steps

),

used_as_they_are as (

    select readable_steps.*
    from readable_steps
    left join settled_jobs
        on
            readable_steps.customer_id = settled_jobs.customer_id
            and readable_steps.job_id = settled_jobs.job_id
    where settled_jobs.job_id is null

),

-- A step without its job is no usage yet: it waits in the quarantine for a job that arrives later.
with_their_job as (

    select used_as_they_are.*
    from used_as_they_are
    inner join stg_jobs
        on
            used_as_they_are.customer_id = stg_jobs.customer_id
            and used_as_they_are.job_id = stg_jobs.job_id

),

stg_steps as (

    select
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
    from with_their_job

    union all

    select
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
    where is_latest

)

select * from stg_steps
