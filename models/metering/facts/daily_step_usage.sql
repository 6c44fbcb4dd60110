with

keys as (

    select * from {{ ref('metered_step_keys') }}

),

recipes as (

    select * from {{ ref('job_recipes') }}

),

rulings as (

    select * from {{ ref('step_rulings') }}

),

-- Steps are added up by numbers, and get their words when they are few.
rolled_up as (

    select
        usage_date,
        recipe_hash,
        ruling_hash,
        count(*) as steps,
        sum(quantity) as quantity
    from keys
    group by usage_date, recipe_hash, ruling_hash

),

daily_step_usage as (

    select
        recipes.customer_id,
        rolled_up.usage_date,
        recipes.environment_type,
        recipes.recipe_id,
        rulings.metric,
        cast(sum(rolled_up.quantity) as bigint) as quantity,
        cast(sum(rolled_up.steps * rulings.tasks) as bigint) as tasks

    from rolled_up
    inner join recipes on rolled_up.recipe_hash = recipes.recipe_hash
    inner join rulings on rolled_up.ruling_hash = rulings.ruling_hash
    group by
        recipes.customer_id, rolled_up.usage_date, recipes.environment_type, recipes.recipe_id,
        rulings.metric

)

select * from daily_step_usage
