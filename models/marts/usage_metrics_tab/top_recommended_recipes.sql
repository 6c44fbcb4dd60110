with

recommended_recipes as (

    select * from {{ ref('stg_recommended_recipes') }}

),

recipes as (

    select * from {{ ref('recipe_history') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

-- A clone counts if any listing up to the as-of date contains it; deleting it later changes nothing.
clones as (

    select distinct
        recipes.customer_id,
        recipes.recipe_id,
        recipes.parent_recipe_id

    from recipes
    inner join as_of on {{ local_date('recipes.valid_from') }} <= as_of.as_of_date
    where not recipes.is_admin

),

counted as (

    select
        recommended_recipes.recipe_id,
        recommended_recipes.recipe_name,
        count(*) as clones,
        count(distinct clones.customer_id) as customers

    from recommended_recipes
    inner join clones on recommended_recipes.recipe_id = clones.parent_recipe_id
    group by recommended_recipes.recipe_id, recommended_recipes.recipe_name

),

ranked as (

    select
        *,
        row_number() over (order by clones desc, recipe_name asc nulls last, recipe_id asc) as clones_rank
    from counted

),

top_recommended_recipes as (

    select
        cast(clones_rank as bigint) as rank,
        recipe_id,
        recipe_name,
        clones,
        customers
    from ranked
    where clones_rank <= 5

)

select * from top_recommended_recipes
