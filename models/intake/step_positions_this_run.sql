{{ config(materialized='view') }}

with

delivered_steps as (

    select * from {{ ref('delivered_steps') }}

),

step_positions_this_run as (

    select
        job_hash,
        position_block,
        load_id,
        extract_name,
        steps,
        positions
    from delivered_steps
    where {{ in_this_run('steps') }}

)

select * from step_positions_this_run
