with

facts as (

    select * from {{ ref('step_facts') }}

),

profiles as (

    select * from {{ ref('step_profiles') }}

),

described_steps as (

    select
        facts.job_hash,
        facts.line_index,
        facts.usage_date,
        facts.page_count,
        facts.message_count,
        facts.called_recipe_id,
        profiles.profile_id,
        profiles.adapter_name,
        profiles.adapter_operation,
        profiles.keyword,
        profiles.is_trigger,
        profiles.outcome

    from facts
    inner join profiles on facts.profile_id = profiles.profile_id

)

select * from described_steps
