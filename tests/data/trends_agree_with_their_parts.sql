-- What the tab shows adds up: trends are the sum of the customers' own figures, one month follows from the one before,
-- and usage by app and by environment is the usage of all.
with

as_of as (

    select * from {{ ref('as_of') }}

),

customers_in_tab as (

    select count(*) as customers
    from {{ ref('customer_details') }}
    where status in ('active', 'trial', 'expired')

),

details as (

    select
        coalesce(sum(connections), 0) as connections,
        coalesce(sum(active_recipes), 0) as active_recipes,
        coalesce(sum(tasks_this_month), 0) as tasks
    from {{ ref('customer_details') }}

),

by_app as (

    select
        usage_month,
        sum(business_actions) as business_actions
    from {{ ref('monthly_app_usage') }}
    group by usage_month

),

by_environment as (

    select
        usage_month,
        sum(business_actions) as business_actions,
        sum(tasks) as tasks
    from {{ ref('monthly_environment_usage') }}
    group by usage_month

),

of_all as (

    select
        usage_month,
        sum(business_actions) as business_actions,
        sum(tasks) as tasks
    from {{ ref('monthly_customer_usage') }}
    group by usage_month

),

customers_and_before as (

    select
        *,
        lag(customers) over (order by usage_month) as customers_before
    from {{ ref('monthly_customers') }}

),

recipes_and_before as (

    select
        *,
        lag(active_recipes) over (order by usage_month) as active_recipes_before
    from {{ ref('monthly_active_recipes') }}

),

compared as (

    select
        'customers of the trend are the details listed now' as claim,
        trends.usage_month,
        trends.customers as found,
        customers_in_tab.customers as expected
    from {{ ref('customer_trends') }} as trends
    inner join as_of on trends.usage_month = as_of.as_of_month
    cross join customers_in_tab
    -- before the first listing the trend is read back, and the details are not
    where not trends.is_reconstructed

    union all

    select
        'connections of the trend are those of the details' as claim,
        trends.usage_month,
        trends.connections as found,
        details.connections as expected
    from {{ ref('connection_trends') }} as trends
    inner join as_of on trends.usage_month = as_of.as_of_month
    cross join details

    union all

    select
        'active recipes of the trend are those of the details' as claim,
        trends.usage_month,
        trends.active_recipes as found,
        details.active_recipes as expected
    from {{ ref('active_recipe_trends') }} as trends
    inner join as_of on trends.usage_month = as_of.as_of_month
    cross join details

    union all

    select
        'tasks of the current month are those of the details' as claim,
        months.usage_month,
        months.tasks as found,
        details.tasks as expected
    from {{ ref('monthly_tasks') }} as months
    inner join as_of on months.usage_month = as_of.as_of_month
    cross join details

    union all

    select
        'customers are those before, the new and not the deleted' as claim,
        usage_month,
        customers as found,
        customers_before + new_customers - deleted_customers as expected
    from customers_and_before
    where customers_before is not null

    union all

    select
        'active recipes are those before, the started and not the stopped' as claim,
        usage_month,
        active_recipes as found,
        active_recipes_before + recipes_started - recipes_stopped as expected
    from recipes_and_before
    where active_recipes_before is not null

    union all

    select
        'business actions by app are those of all' as claim,
        of_all.usage_month,
        coalesce(by_app.business_actions, 0) as found,
        of_all.business_actions as expected
    from of_all
    left join by_app on of_all.usage_month = by_app.usage_month

    union all

    select
        'business actions by environment are those of all' as claim,
        of_all.usage_month,
        coalesce(by_environment.business_actions, 0) as found,
        of_all.business_actions as expected
    from of_all
    left join by_environment on of_all.usage_month = by_environment.usage_month

    union all

    select
        'tasks by environment are those of all' as claim,
        of_all.usage_month,
        coalesce(by_environment.tasks, 0) as found,
        of_all.tasks as expected
    from of_all
    left join by_environment on of_all.usage_month = by_environment.usage_month

)

select *
from compared
where found is distinct from expected
