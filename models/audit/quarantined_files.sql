with

quarantined_files as (

    select
        extract_name,
        file_name,
        reason,
        load_id,
        is_replaced
    from {{ source('run_state', 'quarantined_files') }}

)

select * from quarantined_files
