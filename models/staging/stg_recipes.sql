with

base_recipes as (

    select * from {{ ref('base_recipes') }}

),

-- One listing names each recipe once; repeats of it are put in order by their text.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, recipe_id, extracted_at
            order by
                {{ row_text([
                    'recipe_name', 'recipe_type', 'trigger_adapter', 'trigger_operation',
                    'is_running', 'created_at', 'stopped_at', 'last_run_at', 'project_id',
                    'project_name', 'parent_recipe_id', 'lifetime_task_count',
                ]) }} desc
        ) as delivery_rank

    from base_recipes
    where quarantine_reason is null

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
        extracted_at,
        row_number() over (
            partition by customer_id, recipe_id order by extracted_at desc
        ) = 1 as is_latest

    from ranked
    where delivery_rank = 1

)

select * from stg_recipes
