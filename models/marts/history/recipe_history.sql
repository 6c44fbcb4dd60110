with

-- last_run_at and lifetime_task_count are counters of the source, not states of the recipe: they would begin a new
-- interval with every listing.
recipe_history as (

    {{ validity_intervals(
        ref('stg_recipes'),
        key=['customer_id', 'recipe_id'],
        attributes=[
            'recipe_name', 'recipe_type', 'trigger_adapter', 'trigger_operation', 'is_running', 'project_id',
            'project_name', 'parent_recipe_id', 'created_at', 'stopped_at', 'is_admin',
        ]
    ) }}

)

select * from recipe_history
