{{ replaces('steps') }}

with

steps as (

    select
        job_hash,
        line_index,
        page_count,
        message_count,
        called_recipe_id,
        adapter_name,
        adapter_operation,
        lower(keyword) as keyword,
        coalesce(line_index = 0, false) as is_trigger,
        {{ step_outcome() }} as outcome
    from {{ ref('stg_steps') }}

),

jobs as (

    select
        job_hash,
        {{ local_date('completed_at') }} as usage_date
    from {{ ref('stg_jobs') }}

),

profiles as (

    select * from {{ ref('step_profiles') }}

),

hashed as (

    select
        job_hash,
        line_index,
        page_count,
        message_count,
        called_recipe_id,
        {{ step_profile_hash() }} as profile_hash
    from steps

),

-- Integer keys instead of texts: writing the texts of a step takes ten times as long.
step_facts as (

    select
        hashed.job_hash,
        hashed.line_index,
        jobs.usage_date,
        profiles.profile_id,
        hashed.page_count,
        hashed.message_count,
        hashed.called_recipe_id

    from hashed
    inner join jobs on hashed.job_hash = jobs.job_hash
    inner join profiles on hashed.profile_hash = profiles.profile_hash

)

select * from step_facts
