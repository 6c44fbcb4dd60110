with

listed_once as (

    {{ listed_once(
        'recipes',
        key=['customer_id', 'recipe_id'],
        attributes=[
            'recipe_name', 'recipe_type', 'trigger_adapter', 'trigger_operation', 'is_running', 'created_at',
            'stopped_at', 'last_run_at', 'project_id', 'project_name', 'parent_recipe_id',
            'lifetime_task_count',
        ]
    ) }}

),

stg_recipes as (

    select
        recipe_id,
        customer_id,
        project_id,
        parent_recipe_id,
        recipe_name,
        recipe_type,
        trigger_adapter,
        trigger_operation,
        is_running,
        project_name,
        lifetime_task_count,
        created_at,
        stopped_at,
        last_run_at,
        is_admin,
        extracted_at,
        is_current

    from listed_once

)

select * from stg_recipes
