{{ replaces('load') }}

with

steps as (

    select
        extract_name,
        job_hash,
        load_id,
        file_name,
        line_index,
        extracted_at
    from {{ ref('base_steps') }}
    where quarantine_reason is null

),

-- The only scan of all steps: a bitmap of the positions of a job, 64 positions per row.
delivered_steps as (

    select
        extract_name,
        job_hash,
        cast(floor(line_index / 64) as bigint) as position_block,
        load_id,
        min(file_name) as first_file_name,
        max(file_name) as last_file_name,
        count(*) as steps,
        {{ bits_of_small_numbers('line_index % 64') }} as positions,
        max(extracted_at) as newest_extracted_at
    from steps
    group by extract_name, job_hash, position_block, load_id

)

select * from delivered_steps
