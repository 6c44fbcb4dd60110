{{ config(materialized='incremental', incremental_strategy='append', meta={'scope': 'job'}) }}

with

jobs as (

    select * from {{ ref('stg_jobs') }}

),

recipes as (

    select distinct
        {{ row_hash(['customer_id', 'recipe_id', 'environment_type']) }} as recipe_hash,
        customer_id,
        recipe_id,
        environment_type,
        {{ is_admin_account('customer_id') }} as is_admin
    from jobs

),

none_known as (

    select recipe_hash from recipes
    where false

),

known as (

    select recipe_hash from {{ 'none_known' if is_recomputed('job') else this }}

),

job_recipes as (

    select recipes.*
    from recipes
    left join known on recipes.recipe_hash = known.recipe_hash
    where known.recipe_hash is null

)

select * from job_recipes
