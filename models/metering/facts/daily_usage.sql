{{ replaces('date') }}

with

steps as (

    select * from {{ ref('daily_step_usage') }}

),

jobs as (

    select * from {{ ref('metered_jobs') }}

),

requests as (

    select * from {{ ref('metered_requests') }}

),

counted as (

    select
        customer_id,
        usage_date,
        environment_type,
        recipe_id,
        is_admin,
        metric,
        cast(null as string) as call_type,
        quantity
    from steps
    where metric is not null

    union all

    select
        customer_id,
        usage_date,
        environment_type,
        recipe_id,
        is_admin,
        'tasks' as metric,
        cast(null as string) as call_type,
        tasks as quantity
    from steps

    union all

    select
        customer_id,
        usage_date,
        environment_type,
        recipe_id,
        is_admin,
        metric,
        call_type,
        quantity
    from jobs
    where metric is not null

    union all

    select
        customer_id,
        usage_date,
        cast(null as string) as environment_type,
        recipe_id,
        is_admin,
        metric,
        call_type,
        quantity
    from requests
    where metric is not null

    union all

    select
        customer_id,
        usage_date,
        cast(null as string) as environment_type,
        recipe_id,
        is_admin,
        'tasks' as metric,
        cast(null as string) as call_type,
        tasks as quantity
    from requests

),

daily_usage as (

    select
        customer_id,
        usage_date,
        environment_type,
        recipe_id,
        is_admin,
        metric,
        call_type,
        cast(sum(quantity) as bigint) as quantity
    from counted
    where usage_date is not null
    group by customer_id, usage_date, environment_type, recipe_id, is_admin, metric, call_type
    having sum(quantity) > 0

)

select * from daily_usage
