with

base_recommended_recipes as (

    select * from {{ ref('base_recommended_recipes') }}

),

-- If rows have the same key, the greater one as text wins.
ranked as (

    select
        *,
        row_number() over (
            partition by recipe_id
            order by
                {{ tiebreak_text(['recipe_name', 'recommended_from']) }} desc
        ) as delivery_rank

    from base_recommended_recipes
    where quarantine_reason is null

),

stg_recommended_recipes as (

    select
        recipe_id,
        recipe_name,
        recommended_from

    from ranked
    where delivery_rank = 1

)

select * from stg_recommended_recipes
