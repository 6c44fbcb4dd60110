{{ config(materialized='incremental', incremental_strategy='new_rows') }}

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
