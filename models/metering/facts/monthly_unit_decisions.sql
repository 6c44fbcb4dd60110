{{ replaces('month') }}

with

as_of as (

    select * from {{ ref('as_of') }}

),

recipes as (

    select * from {{ ref('job_recipes') }}

),

steps as (

    select
        steps.*,
        recipes.customer_id,
        recipes.recipe_id,
        recipes.is_admin
    from {{ ref('monthly_step_decisions') }} as steps
    inner join recipes on steps.recipe_hash = recipes.recipe_hash

),

jobs as (

    select
        *,
        cast(date_trunc('month', usage_date) as date) as usage_month
    from {{ ref('metered_jobs') }}
    where
        (usage_date is null or usage_date <= (select as_of.as_of_date from as_of))
        and {{ in_affected('date_of_month') }}

),

requests as (

    select
        *,
        cast(date_trunc('month', usage_date) as date) as usage_month
    from {{ ref('metered_requests') }}
    where
        (usage_date is null or usage_date <= (select as_of.as_of_date from as_of))
        and {{ in_affected('date_of_month') }}

),

decided as (

    select
        usage_month,
        customer_id,
        is_admin,
        'steps' as units,
        metric,
        rule_id,
        rule_override,
        recipe_id,
        steps as decided,
        quantity
    from steps

    union all

    select
        usage_month,
        customer_id,
        is_admin,
        'steps, as tasks' as units,
        'tasks' as metric,
        task_rule_id as rule_id,
        task_rule_override as rule_override,
        recipe_id,
        steps as decided,
        tasks as quantity
    from steps

    union all

    select
        usage_month,
        customer_id,
        is_admin,
        'jobs' as units,
        metric,
        rule_id,
        rule_override,
        recipe_id,
        1 as decided,
        quantity
    from jobs

    union all

    select
        usage_month,
        customer_id,
        is_admin,
        'requests' as units,
        metric,
        rule_id,
        rule_override,
        recipe_id,
        1 as decided,
        quantity
    from requests

    union all

    select
        usage_month,
        customer_id,
        is_admin,
        'requests, as tasks' as units,
        'tasks' as metric,
        task_rule_id as rule_id,
        task_rule_override as rule_override,
        recipe_id,
        1 as decided,
        tasks as quantity
    from requests
    where task_rule_id is not null

),

monthly_unit_decisions as (

    select
        usage_month,
        customer_id,
        is_admin,
        units,
        metric,
        rule_id,
        rule_override,
        recipe_id,
        cast(sum(decided) as bigint) as decided,
        cast(sum(quantity) as bigint) as quantity

    from decided
    group by usage_month, customer_id, is_admin, units, metric, rule_id, rule_override, recipe_id

)

select * from monthly_unit_decisions
