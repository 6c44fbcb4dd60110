{% set columns = [
    'job_hash', 'customer_id', 'job_id', 'called_recipe_id', 'line_index', 'recipe_line_number', 'adapter_name',
    'adapter_operation', 'keyword', 'status', 'error', 'page_count', 'message_count', 'duration_seconds',
    'extracted_at', 'file_name', 'extract_name',
] %}

with

-- A run that computes everything reads the steps where they are stored: a copy of all of them would be large.
readable_steps as (

    select {{ columns | join(', ') }}
    from {{ ref('base_steps') }}
    where
        quarantine_reason is null
        and {{ is_whole_run() | lower }}

    union all

    select {{ columns | join(', ') }}
    from {{ ref('readable_steps_this_run') }}

)

select * from readable_steps
