with

customers as (

    select * from {{ ref('stg_customers') }}
    where is_current

),

customer_months as (

    select * from {{ ref('monthly_customer_usage') }}

),

app_connections as (

    select * from {{ ref('monthly_app_connections') }}

),

customer_recipes as (

    select * from {{ ref('monthly_customer_recipes') }}

),

customer_history as (

    select * from {{ ref('customer_history') }}

),

recipe_history as (

    select * from {{ ref('recipe_history') }}

),

connection_history as (

    select * from {{ ref('connection_history') }}

),

jobs as (

    select * from {{ ref('metered_jobs') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

months as (

    select * from {{ ref('months') }}

),

this_month as (

    select month_listings.*
    from {{ ref('month_listings') }} as month_listings
    inner join months on month_listings.usage_month = months.usage_month
    where months.is_current_month

),

known as (

    select customer_id from customer_months
    union
    select customer_id from customer_history
    where not is_admin
    union
    select customer_id from recipe_history
    where not is_admin
    union
    select customer_id from connection_history
    where not is_admin

),

-- The state in the listings up to the as-of date. Later listings do not count yet.
listed as (

    select
        customer_history.customer_id,
        max_by(customer_history.is_in_trial, customer_history.valid_from) as is_in_trial,
        max_by(customer_history.is_subscription_expired, customer_history.valid_from) as is_subscription_expired,
        bool_or({{ is_valid_at('customer_history', 'this_month.snapshot_at') }}) as is_listed_now
    from customer_history
    inner join this_month
        on
            this_month.extract_name = 'customers'
            and customer_history.valid_from <= this_month.snapshot_at
    group by customer_history.customer_id

),

-- Usage may be older than the first customer's creation, with which the model months begins.
usage_of_12_months as (

    select
        customer_months.customer_id,
        sum(customer_months.tasks) as tasks_last_12_months,
        sum(customer_months.tasks) filter (where customer_months.is_current_month) as tasks_this_month,
        sum(customer_months.jobs_failed) as jobs_failed,
        sum(customer_months.jobs_succeeded + customer_months.jobs_failed) as jobs_run
    from customer_months
    inner join as_of
        on customer_months.usage_month > cast(as_of.as_of_month - interval '12' month as date)
    group by customer_months.customer_id

),

connections_now as (

    select
        app_connections.customer_id,
        sum(app_connections.connections) as connections,
        count(app_connections.app) as apps
    from app_connections
    inner join months
        on
            app_connections.usage_month = months.usage_month
            and months.is_current_month
    group by app_connections.customer_id

),

recipes_now as (

    select
        customer_recipes.customer_id,
        customer_recipes.active_recipes
    from customer_recipes
    inner join months
        on
            customer_recipes.usage_month = months.usage_month
            and months.is_current_month

),

last_jobs as (

    select
        jobs.customer_id,
        max(jobs.completed_at) as last_job_at
    from jobs
    inner join as_of
        on jobs.usage_date <= as_of.as_of_date
    where jobs.is_finished and not jobs.is_excluded
    group by jobs.customer_id

),

customer_details as (

    select
        known.customer_id,
        customers.external_id,
        customers.customer_name,
        customers.plan_id,
        case
            when listed.customer_id is null then 'unlisted'
            when not listed.is_listed_now then 'deleted'
            when listed.is_subscription_expired then 'expired'
            when listed.is_in_trial then 'trial'
            else 'active'
        end as status,
        customers.created_at,

        cast(coalesce(connections_now.connections, 0) as bigint) as connections,
        cast(coalesce(recipes_now.active_recipes, 0) as bigint) as active_recipes,
        cast(coalesce(connections_now.apps, 0) as bigint) as apps,

        cast(coalesce(usage_of_12_months.tasks_last_12_months, 0) as bigint) as tasks_last_12_months,
        cast(coalesce(usage_of_12_months.tasks_this_month, 0) as bigint) as tasks_this_month,
        {{ ratio('usage_of_12_months.jobs_failed', 'usage_of_12_months.jobs_run') }} as failed_job_share_last_12_months,
        last_jobs.last_job_at

    from known
    left join customers on known.customer_id = customers.customer_id
    left join listed on known.customer_id = listed.customer_id
    left join usage_of_12_months on known.customer_id = usage_of_12_months.customer_id
    left join connections_now on known.customer_id = connections_now.customer_id
    left join recipes_now on known.customer_id = recipes_now.customer_id
    left join last_jobs on known.customer_id = last_jobs.customer_id

)

select * from customer_details
