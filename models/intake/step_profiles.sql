{{ config(materialized='incremental', incremental_strategy='append') }}

with

-- Includes rows that cannot be used: metering.apps lists every adapter that an extract names.
delivered as (

    select
        adapter_name,
        adapter_operation,
        lower(keyword) as keyword,
        coalesce(line_index = 0, false) as is_trigger,
        {{ step_outcome() }} as outcome
    from {{ ref('base_steps') }}
    where {{ is_new_load() }}

),

profiles as (

    select distinct
        {{ step_profile_hash() }} as profile_hash,
        adapter_name,
        adapter_operation,
        keyword,
        is_trigger,
        outcome
    from delivered

),

none_known as (

    select
        profile_hash,
        cast(0 as int) as profile_id
    from profiles
    where false

),

known as (

    select
        profile_hash,
        profile_id
    from {{ 'none_known' if is_whole_run() else this }}

),

last_id as (

    select coalesce(max(profile_id), 0) as profile_id from known

),

new_profiles as (

    select profiles.*
    from profiles
    left join known on profiles.profile_hash = known.profile_hash
    where known.profile_id is null

),

step_profiles as (

    select
        new_profiles.*,
        cast(
            last_id.profile_id + row_number() over (
                order by
                    new_profiles.adapter_name asc nulls first,
                    new_profiles.adapter_operation asc nulls first,
                    new_profiles.keyword asc nulls first,
                    new_profiles.is_trigger asc,
                    new_profiles.outcome asc
            ) as int
        ) as profile_id
    from new_profiles
    cross join last_id

)

select * from step_profiles
