with

decisions as (

    select * from {{ ref('monthly_rule_usage') }}

),

apps as (

    select * from {{ ref('apps') }}

),

used as (

    select
        customer_id,
        usage_month,
        app,
        cast(sum(tasks) as bigint) as tasks,
        cast(coalesce(sum(quantity) filter (where metric = 'business_actions'), 0) as bigint) as business_actions
    from decisions
    where not is_admin
    group by customer_id, app, usage_month

),

app_names as (

    select
        app,
        max_by(app_name, effective_from) as app_name
    from apps
    group by app

),

monthly_app_usage as (

    select
        used.usage_month,
        used.customer_id,
        used.app,
        app_names.app_name,
        used.tasks,
        used.business_actions

    from used
    inner join app_names on used.app = app_names.app
    where used.tasks > 0 or used.business_actions > 0

)

select * from monthly_app_usage
