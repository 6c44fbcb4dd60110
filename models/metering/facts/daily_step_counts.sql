{{ replaces('date') }}

with

facts as (

    select * from {{ ref('step_facts') }}

),

jobs as (

    select
        jobs.*,
        case
            when mcp_asset_jobs.job_hash is not null and jobs.is_finished and not jobs.is_excluded then 'workflow'
            else jobs.job_class
        end as asset_class
    from {{ ref('metered_jobs') }} as jobs
    left join {{ ref('mcp_asset_jobs') }} as mcp_asset_jobs on jobs.job_hash = mcp_asset_jobs.job_hash

),

-- A missing or impossible count adds 0. It is never estimated.
daily_step_counts as (

    select
        jobs.usage_date,
        jobs.rule_date,
        jobs.recipe_hash,
        jobs.job_class,
        jobs.asset_class,
        facts.profile_id,
        cast(count(*) as bigint) as steps,
        cast(coalesce(sum(case when facts.page_count > 0 then facts.page_count end), 0) as bigint) as pages,
        cast(coalesce(sum(case when facts.message_count > 0 then facts.message_count end), 0) as bigint) as messages
    from facts
    inner join jobs on facts.job_hash = jobs.job_hash
    group by
        jobs.usage_date, jobs.rule_date, jobs.recipe_hash, jobs.job_class, jobs.asset_class, facts.profile_id

)

select * from daily_step_counts
