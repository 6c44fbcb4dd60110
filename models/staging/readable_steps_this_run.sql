{{ config(materialized='table') }}

with

readable_steps_this_run as (

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
        extracted_at,
        file_name,
        extract_name
    from {{ ref('base_steps') }}
    where
        quarantine_reason is null
        and {{ delivered_in_this_run('steps') }}
        and not {{ is_whole_run() | lower }}

)

select * from readable_steps_this_run
