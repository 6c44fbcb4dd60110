with

steps as (

    select * from {{ ref('metered_steps') }}

),

apps as (

    select * from {{ ref('apps') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

used as (

    select
        customer_id,
        usage_date,
        app,
        sum(tasks) as tasks,
        sum(quantity) filter (where metric = 'business_actions') as business_actions
    from steps
    where not {{ is_admin_account('customer_id') }}
    group by customer_id, usage_date, app

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
        cast(date_trunc('month', used.usage_date) as date) as usage_month,
        used.customer_id,
        used.app,
        app_names.app_name,
        cast(sum(used.tasks) as bigint) as tasks,
        cast(coalesce(sum(used.business_actions), 0) as bigint) as business_actions

    from used
    inner join as_of on used.usage_date < cast(as_of.as_of_month + interval '1' month as date)
    inner join app_names on used.app = app_names.app
    group by usage_month, used.customer_id, used.app, app_names.app_name
    having sum(used.tasks) > 0 or coalesce(sum(used.business_actions), 0) > 0

)

select * from monthly_app_usage
