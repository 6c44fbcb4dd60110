-- Every job, step and request of the staging models has exactly one decision: as many out as in, and none lost.
with

counts as (

    select
        'jobs' as unit,
        (select count(*) from {{ ref('stg_jobs') }}) as units_in,
        (select count(*) from {{ ref('metered_jobs') }}) as decisions_out

    union all

    select
        'steps' as unit,
        (select count(*) from {{ ref('stg_steps') }}) as units_in,
        (select count(*) from {{ ref('metered_steps') }}) as decisions_out

    union all

    select
        'requests' as unit,
        (select count(*) from {{ ref('stg_api_requests') }})
        + (select count(*) from {{ ref('stg_event_stream_requests') }})
        + (select count(*) from {{ ref('stg_genie_prompts') }}) as units_in,
        (select count(*) from {{ ref('metered_requests') }}) as decisions_out

)

select * from counts
where units_in is distinct from decisions_out
