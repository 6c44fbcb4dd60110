with

months as (

    select * from {{ ref('months') }}

),

monthly_active_recipes as (

    select * from {{ ref('monthly_active_recipes') }}

),

active_recipe_trends as (

    select
        monthly_active_recipes.usage_month,
        monthly_active_recipes.active_recipes,
        monthly_active_recipes.recipes_started,
        monthly_active_recipes.recipes_stopped,
        monthly_active_recipes.is_reconstructed

    from monthly_active_recipes
    inner join months on monthly_active_recipes.usage_month = months.usage_month
    where months.is_in_last_6_months

)

select * from active_recipe_trends
