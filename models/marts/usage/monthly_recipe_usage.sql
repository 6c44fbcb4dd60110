with

usage_by_capability as (

    select * from {{ ref('usage_by_capability') }}

),

recipes as (

    select * from {{ ref('stg_recipes') }}
    where is_current

),

used as (

    select
        used.customer_id,
        used.recipe_id,
        used.metric,
        used.quantity,
        cast(date_trunc('month', used.usage_date) as date) as usage_month

    from usage_by_capability as used
    where used.recipe_id is not null

),

by_month as (

    select
        usage_month,
        customer_id,
        recipe_id,
        cast(coalesce(sum(quantity) filter (where metric = 'tasks'), 0) as bigint) as tasks,
        cast(coalesce(sum(quantity) filter (where metric = 'business_actions'), 0) as bigint) as business_actions,
        cast(coalesce(sum(quantity) filter (where metric = 'api_calls'), 0) as bigint) as api_calls,
        cast(coalesce(sum(quantity) filter (where metric = 'pages_processed'), 0) as bigint) as pages_processed,
        cast(coalesce(sum(quantity) filter (where metric = 'events_processed'), 0) as bigint) as events_processed,
        cast(coalesce(sum(quantity) filter (where metric = 'mcp_calls'), 0) as bigint) as mcp_calls,
        cast(coalesce(sum(quantity) filter (where metric = 'genie_actions'), 0) as bigint) as genie_actions
    from used
    group by usage_month, customer_id, recipe_id

),

monthly_recipe_usage as (

    select
        by_month.usage_month,
        by_month.customer_id,
        by_month.recipe_id,
        recipes.recipe_name,
        recipes.project_id,
        recipes.project_name,
        by_month.tasks,
        by_month.business_actions,
        by_month.api_calls,
        by_month.pages_processed,
        by_month.events_processed,
        by_month.mcp_calls,
        by_month.genie_actions

    from by_month
    left join recipes
        on
            by_month.customer_id = recipes.customer_id
            and by_month.recipe_id = recipes.recipe_id

)

select * from monthly_recipe_usage
