{{ config(materialized='incremental', incremental_strategy='append') }}

with

jobs as (

    select * from {{ ref('metered_jobs') }}
    where {{ is_changed_job() }}

),

job_recipes as (

    select distinct
        recipe_hash,
        customer_id,
        recipe_id,
        environment_type
    from jobs

)

select * from job_recipes
{% if is_incremental() -%}
    where recipe_hash not in (select known.recipe_hash from {{ this }} as known)
{%- endif %}
