with

counts as (

    select * from {{ ref('daily_step_counts') }}

),

recipes as (

    select * from {{ ref('job_recipes') }}

),

decisions as (

    select * from {{ ref('step_decisions') }}

),

-- Counts are added up by integer keys; texts are joined to the few resulting rows.
added_up as (

    select
        counts.usage_date,
        counts.recipe_hash,
        decisions.metric,
        sum({{ quantity_of_steps('decisions', 'counts') }}) as quantity,
        sum(counts.steps * decisions.tasks) as tasks

    from counts
    inner join decisions on {{ is_decided_by('decisions', 'counts', 'counts') }}
    group by counts.usage_date, counts.recipe_hash, decisions.metric

),

daily_step_usage as (

    select
        recipes.customer_id,
        added_up.usage_date,
        recipes.environment_type,
        recipes.recipe_id,
        recipes.is_admin,
        added_up.metric,
        cast(added_up.quantity as bigint) as quantity,
        cast(added_up.tasks as bigint) as tasks

    from added_up
    inner join recipes on added_up.recipe_hash = recipes.recipe_hash

)

select * from daily_step_usage
