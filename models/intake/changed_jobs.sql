with

deliveries as (

    select * from {{ ref('delivered_jobs') }}

),

requests as (

    select * from {{ ref('delivered_requests') }}

),

-- Recipes of which the newest listing says another type than the one that the last run read.
changed_recipes as (

    select {{ row_hash(['customer_id', 'recipe_id']) }} as recipe_hash
    from (
        select
            customer_id,
            recipe_id,
            recipe_type,
            type_override,
            type_source
        from {{ ref('recipe_types_listed') }}
        except
        select * from run_state.listed_recipe_types
    ) as listed_now

),

changed_collections as (

    select * from {{ ref('changed_collections') }}

),

new_requests as (

    select request_hash from requests
    where {{ is_new_load() }}

),

-- What arrived, and whatever is read in another light because of a listing.
touched as (

    select job_hash from deliveries
    where
        {{ is_new_load() }}
        or recipe_hash in (select changed_recipes.recipe_hash from changed_recipes)
        or root_recipe_hash in (select changed_recipes.recipe_hash from changed_recipes)
        or usage_month = {{ recompute_month() }}

    union

    select job_hash from {{ ref('delivered_steps') }}
    where {{ is_new_load() }}

    union

    -- also those that an earlier delivery of the request named
    select job_hash from requests
    where
        job_hash is not null
        and (
            request_hash in (select new_requests.request_hash from new_requests)
            or collection_hash in (select changed_collections.collection_hash from changed_collections)
        )

),

calls as (

    select distinct
        job_hash,
        calling_job_hash
    from deliveries
    where calling_job_hash is not null

),

-- Functions are billed by their callers, all the way up and down: whole families are looked at again.
called as (

    {{ transitive_closure('touched', 'calls', 'job_hash', link_from='calling_job_hash', link_to='job_hash') }}

),

changed_jobs as (

    {{ transitive_closure('called', 'calls', 'job_hash', link_from='job_hash', link_to='calling_job_hash') }}

)

select * from changed_jobs
{%- if is_whole_run() %}
    -- a whole run looks at every job, without asking which
    where false
{%- endif %}
