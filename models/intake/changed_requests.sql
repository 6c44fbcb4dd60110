{{ config(post_hook="{{ view_changed_deliveries() }}") }}

with

requests as (

    select * from {{ ref('delivered_requests') }}

),

changed_collections as (

    select * from {{ ref('changed_collections') }}

),

changed_requests as (

    select distinct request_hash
    from requests
    where
        {{ is_new_load() }}
        or job_hash in (select changed_jobs.job_hash from {{ ref('changed_jobs') }} as changed_jobs)
        or collection_hash in (select changed_collections.collection_hash from changed_collections)

)

select * from changed_requests
{%- if is_whole_run() %}
    -- a whole run looks at every request, without asking which
    where false
{%- endif %}
