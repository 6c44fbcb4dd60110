with

used as (

    select * from {{ ref('daily_contract_usage') }}
    where recipe_id is not null

),

tiers as (

    select * from {{ ref('recipe_tiers') }}

),

-- Tasks since the first day of a period only grow, so the most are those of the period. Few recipes have as many as a
-- tier asks for.
tasks_of_recipes as (

    select
        customer_id,
        term_from,
        terms,
        period_from,
        account_id,
        recipe_id,
        max(quantity_to_date) as tasks
    from used
    where quantity_to_date > (select min(tiers.more_than_tasks) from tiers)
    group by customer_id, term_from, terms, period_from, account_id, recipe_id

),

high_volume_recipes as (

    select
        recipes.customer_id,
        recipes.term_from,
        recipes.period_from,
        recipes.account_id,
        recipes.recipe_id,
        cast(recipes.tasks as bigint) as tasks,
        max(tiers.tier) as tier

    from tasks_of_recipes as recipes
    inner join tiers
        on
            recipes.terms = tiers.terms
            and recipes.tasks > tiers.more_than_tasks
    group by
        recipes.customer_id, recipes.term_from, recipes.period_from, recipes.account_id, recipes.recipe_id,
        recipes.tasks

)

select * from high_volume_recipes
