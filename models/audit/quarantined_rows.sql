with

quarantined_rows as (

    select
        case when extract_name = 'job_history_lines' then 'job_history' else extract_name end as extract_name,
        file_name,
        reason,
        row_content
    from {{ ref('rejected_rows') }}
    where not {{ is_erased_reason('reason') }}

    union all

    select
        'steps' as extract_name,
        file_name,
        'step without job' as reason,
        row_content
    from {{ ref('stg_steps_without_job') }}

)

select * from quarantined_rows
