with

deliveries as (

    select * from {{ ref('delivered_jobs') }}

),

requests as (

    select * from {{ ref('delivered_requests') }}

),

new_listings as (

    select distinct
        customer_id,
        recipe_id,
        recipe_type,
        trigger_adapter,
        trigger_operation
    from {{ ref('base_recipes') }}
    where
        quarantine_reason is null
        and {{ is_new_load() }}

),

new_collections as (

    select * from {{ ref('base_api_collections') }}
    where
        quarantine_reason is null
        and {{ is_new_load() }}

),

listed_recipes as (

    select * from {{ source('run_state', 'listed_recipes') }}

),

-- Triggers whose rule begins or ends between the as-of dates of the last committed run and of this run.
triggers_with_other_rules as (

    select recipe_types.trigger_adapter
    from {{ ref('effective_recipe_types') }} as recipe_types
    cross join {{ ref('as_of') }} as as_of
    cross join {{ source('run_state', 'watermark') }} as watermark
    where
        (
            recipe_types.effective_from > least(as_of.as_of_date, watermark.as_of_date)
            and recipe_types.effective_from <= greatest(as_of.as_of_date, watermark.as_of_date)
        )
        or (
            recipe_types.effective_to > least(as_of.as_of_date, watermark.as_of_date)
            and recipe_types.effective_to <= greatest(as_of.as_of_date, watermark.as_of_date)
        )

),

-- Recipes whose listed type may differ from the last committed run.
affected_recipes as (

    select {{ row_hash(['new_listings.customer_id', 'new_listings.recipe_id']) }} as recipe_hash
    from new_listings
    left join listed_recipes
        on
            new_listings.customer_id = listed_recipes.customer_id
            and new_listings.recipe_id = listed_recipes.recipe_id
            and new_listings.recipe_type is not distinct from listed_recipes.recipe_type
            and new_listings.trigger_adapter is not distinct from listed_recipes.trigger_adapter
            and new_listings.trigger_operation is not distinct from listed_recipes.trigger_operation
    where listed_recipes.recipe_id is null

    union

    select {{ row_hash(['customer_id', 'recipe_id']) }} as recipe_hash
    from listed_recipes
    where trigger_adapter in (select triggers.trigger_adapter from triggers_with_other_rules as triggers)

),

affected_collections as (

    select {{ row_hash(['new_collections.customer_id', 'new_collections.api_collection_id']) }} as collection_hash
    from new_collections
    left join {{ source('run_state', 'mcp_collections') }} as mcp_before
        on
            new_collections.customer_id = mcp_before.customer_id
            and new_collections.api_collection_id = mcp_before.api_collection_id
    where new_collections.is_mcp_server is distinct from (mcp_before.api_collection_id is not null)

),

new_requests as (

    select request_hash from requests
    where {{ is_new_load() }}

),

-- Jobs with a new delivery or a new step, and jobs of the month to recompute.
delivered as (

    select job_hash from deliveries
    where
        {{ is_new_load() }}
        or cast(date_trunc('month', usage_date) as date) = {{ recompute_month() }}

    union

    select job_hash from {{ ref('delivered_steps') }}
    where {{ is_new_load() }}

),

affected_jobs as (

    select job_hash from delivered

    union

    select job_hash from deliveries
    where
        recipe_hash in (select affected_recipes.recipe_hash from affected_recipes)
        or root_recipe_hash in (select affected_recipes.recipe_hash from affected_recipes)

    union

    -- also jobs that an earlier delivery of the request named
    select job_hash from requests
    where
        job_hash is not null
        and (
            request_hash in (select new_requests.request_hash from new_requests)
            or collection_hash in (select affected_collections.collection_hash from affected_collections)
        )

),

calls as (

    select distinct
        job_hash,
        calling_job_hash
    from deliveries
    where calling_job_hash is not null

),

-- A function is billed by its callers, so all callers and functions of an affected job are computed, up and down.
with_functions as (

    {{ transitive_closure('affected_jobs', 'calls', 'job_hash', link_from='calling_job_hash', link_to='job_hash') }}

),

families as (

    {{ transitive_closure('with_functions', 'calls', 'job_hash', link_from='job_hash', link_to='calling_job_hash') }}

),

units_this_run as (

    select
        'steps' as unit_kind,
        job_hash as unit_hash
    from delivered

    union all

    select
        'job' as unit_kind,
        job_hash as unit_hash
    from families

    union all

    select distinct
        'request' as unit_kind,
        request_hash as unit_hash
    from requests
    where
        {{ is_new_load() }}
        or job_hash in (select families.job_hash from families)
        or collection_hash in (select affected_collections.collection_hash from affected_collections)

)

select * from units_this_run
{%- if is_whole_run() %}
    -- a run that computes everything does not read this model
    where false
{%- endif %}
