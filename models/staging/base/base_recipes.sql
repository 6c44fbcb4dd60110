with

extracted as (

    select * from {{ extract('recipes') }}

),

-- Each value as the contract's type; null where it can't be read.
parsed as (

    select
        *,
        {{ to_boolean('running') }} as read_running,
        {{ to_utc('created_at') }} as read_created_at,
        {{ to_utc('stopped_at') }} as read_stopped_at,
        {{ to_utc('last_run_at') }} as read_last_run_at,
        {{ to_whole_number('lifetime_task_count') }} as read_lifetime_task_count,
        {{ to_utc('extracted_at') }} as read_extracted_at

    from extracted

),

judged as (

    select
        *,
        {{ quarantine_reason('recipes') }} as quarantine_reason

    from parsed

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
        coalesce(read_running, false) as is_running,
        project_name,
        read_lifetime_task_count as lifetime_task_count,

        -- times
        read_created_at as created_at,
        read_stopped_at as stopped_at,
        read_last_run_at as last_run_at,
        read_extracted_at as extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('recipes') }} end as row_content

    from judged

)

select * from base_recipes
