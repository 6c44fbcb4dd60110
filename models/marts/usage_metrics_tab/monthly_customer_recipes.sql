with

months as (

    select * from {{ ref('month_listings') }}
    where extract_name = 'recipes'

),

recipes as (

    select * from {{ ref('recipe_history') }}

),

active as (

    select
        months.usage_month,
        recipes.customer_id,
        recipes.recipe_id

    from months
    inner join recipes on {{ is_valid_at('recipes', 'months.snapshot_at') }}
    where
        case
            when months.is_reconstructed
                then
                    recipes.created_at < months.ends_at
                    and (recipes.is_running or recipes.stopped_at >= months.ends_at)
            else recipes.is_running
        end
        and not recipes.is_admin

),

changes as (

    {{ month_to_month('active', ['customer_id', 'recipe_id']) }}

),

monthly_customer_recipes as (

    select
        months.usage_month,
        changes.customer_id,
        months.is_reconstructed,
        count(*) filter (where changes.is_present) as active_recipes,
        count(*) filter (where changes.is_new) as recipes_started,
        count(*) filter (where changes.is_gone) as recipes_stopped

    from months
    inner join changes on months.usage_month = changes.usage_month
    group by months.usage_month, changes.customer_id, months.is_reconstructed

)

select * from monthly_customer_recipes
