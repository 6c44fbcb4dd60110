with

extracted as (

    select * from {{ extract('recipes') }}

),

checked as (

    select
        *,
        {{ quarantine_reason('recipes') }} as quarantine_reason

    from extracted

),

base_recipes as (

    select
        -- ids
        id as recipe_id,
        user_id as customer_id,
        project_id,
        parent_id as parent_recipe_id,

        -- what it is
        name as recipe_name,
        recipe_type,
        trigger_application as trigger_adapter,
        trigger_operation,
        coalesce(running, false) as is_running,
        project_name,
        lifetime_task_count,

        -- times
        created_at,
        stopped_at,
        last_run_at,
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('recipes') }} end as row_content

    from checked

)

select * from base_recipes
