with

extracted as (

    select * from {{ extract('recommended_recipes') }}

),

-- Words and dates as the contract defines them; null if they cannot be read.
parsed as (

    select
        *,
        {{ to_date('recommended_from') }} as read_recommended_from

    from extracted

),

checked as (

    select
        *,
        {{ quarantine_reason('recommended_recipes') }} as quarantine_reason

    from parsed

),

base_recommended_recipes as (

    select
        -- ids
        recipe_id,

        -- what it is
        name as recipe_name,

        -- times
        read_recommended_from as recommended_from,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('recommended_recipes') }} end as row_content

    from checked

)

select * from base_recommended_recipes
