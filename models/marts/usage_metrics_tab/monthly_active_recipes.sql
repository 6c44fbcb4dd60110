with

months as (

    select * from {{ ref('month_listings') }}
    where extract_name = 'recipes'

),

customer_recipes as (

    select * from {{ ref('monthly_customer_recipes') }}

),

monthly_active_recipes as (

    select
        months.usage_month,
        cast(coalesce(sum(customer_recipes.active_recipes), 0) as bigint) as active_recipes,
        cast(coalesce(sum(customer_recipes.recipes_started), 0) as bigint) as recipes_started,
        cast(coalesce(sum(customer_recipes.recipes_stopped), 0) as bigint) as recipes_stopped,
        months.is_reconstructed

    from months
    left join customer_recipes on months.usage_month = customer_recipes.usage_month
    group by months.usage_month, months.is_reconstructed

)

select * from monthly_active_recipes
