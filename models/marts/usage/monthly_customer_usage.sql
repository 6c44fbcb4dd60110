with

customers as (

    select * from {{ ref('stg_customers') }}
    where is_current

),

daily_customer_usage as (

    select * from {{ ref('daily_customer_usage') }}

),

jobs as (

    select * from {{ ref('metered_jobs') }}

),

monthly_credits as (

    select * from {{ ref('monthly_credits') }}

),

job_days as (

    select * from {{ ref('job_days') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

usage_by_month as (

    select
        customer_id,
        usage_month,
        sum(quantity) filter (where metric = 'tasks') as tasks,
        sum(quantity) filter (where metric = 'business_actions') as business_actions,
        sum(quantity) filter (where metric = 'api_calls') as api_calls,
        sum(quantity) filter (where metric = 'api_calls' and call_type = 'managed') as managed_api_calls,
        sum(quantity) filter (
            where metric = 'api_calls' and call_type is distinct from 'managed'
        ) as proxy_api_calls,
        sum(quantity) filter (where metric = 'pages_processed') as pages_processed,
        sum(quantity) filter (where metric = 'events_processed') as events_processed,
        sum(quantity) filter (where metric = 'mcp_calls') as mcp_calls,
        sum(quantity) filter (where metric = 'genie_actions') as genie_actions,
        sum(quantity) filter (where metric = 'go_seats') as go_seats,
        sum(quantity) filter (where metric = 'workflow_app_seats') as workflow_app_seats
    from daily_customer_usage
    where is_in_month_figure
    group by customer_id, usage_month

),

-- Canceled jobs and poll errors are in neither column; test jobs as the options say.
jobs_by_month as (

    select
        customer_id,
        cast(date_trunc('month', usage_date) as date) as usage_month,
        count(*) filter (where status = 'succeeded') as jobs_succeeded,
        count(*) filter (where status = 'failed') as jobs_failed
    from jobs
    where
        is_finished
        and usage_date <= (select as_of.as_of_date from as_of)
        and not is_excluded
        and status in ('succeeded', 'failed')
        and not is_admin
    group by customer_id, date_trunc('month', usage_date)

),

credits_by_month as (

    select
        customer_id,
        usage_month,
        sum(credits) as credits,
        sum(billed_quantity) as billed_quantity,
        bool_or(is_unpriced) as is_unpriced
    from monthly_credits
    group by customer_id, usage_month

),

-- A customer's months begin when it was created, or with its first usage where that is earlier.
beginnings as (

    select
        customer_id,
        cast(date_trunc('month', {{ local_date('created_at') }}) as date) as first_month
    from customers
    where not is_admin

    union all

    select
        customer_id,
        usage_month as first_month
    from usage_by_month

    union all

    select
        customer_id,
        usage_month as first_month
    from jobs_by_month

),

months as (

    select
        beginnings.customer_id,
        {{ date_spine('min(beginnings.first_month)', 'max(as_of.as_of_month)', 'month') }} as usage_month
    from beginnings
    cross join as_of
    group by beginnings.customer_id

),

monthly_customer_usage as (

    select
        months.usage_month,
        months.customer_id,
        customers.external_id,
        customers.customer_name,
        customers.plan_id,

        cast(coalesce(used.tasks, 0) as bigint) as tasks,
        cast(coalesce(used.business_actions, 0) as bigint) as business_actions,
        cast(coalesce(used.api_calls, 0) as bigint) as api_calls,
        cast(coalesce(used.managed_api_calls, 0) as bigint) as managed_api_calls,
        cast(coalesce(used.proxy_api_calls, 0) as bigint) as proxy_api_calls,
        cast(coalesce(used.pages_processed, 0) as bigint) as pages_processed,
        cast(coalesce(used.events_processed, 0) as bigint) as events_processed,
        cast(coalesce(used.mcp_calls, 0) as bigint) as mcp_calls,
        cast(coalesce(used.genie_actions, 0) as bigint) as genie_actions,
        cast(coalesce(used.go_seats, 0) as bigint) as go_seats,
        cast(coalesce(used.workflow_app_seats, 0) as bigint) as workflow_app_seats,

        -- null where all of the month's billed usage lacks a ratio; 0 where there is none
        cast(
            case when credits.billed_quantity > 0 then credits.credits else coalesce(credits.credits, 0) end
            as decimal(38, 9)
        ) as credits,
        cast(coalesce(jobs.jobs_succeeded, 0) as bigint) as jobs_succeeded,

        cast(coalesce(jobs.jobs_failed, 0) as bigint) as jobs_failed,
        not coalesce(credits.is_unpriced, false) as is_fully_priced,
        {{ ratio('jobs.jobs_failed', 'jobs.jobs_succeeded + jobs.jobs_failed') }} as failed_job_share,

        months.usage_month = as_of.as_of_month as is_current_month,
        {{ is_covered('months.usage_month') }} as is_covered

    from months
    cross join as_of
    left join customers on months.customer_id = customers.customer_id
    left join usage_by_month as used
        on
            months.customer_id = used.customer_id
            and months.usage_month = used.usage_month
    left join jobs_by_month as jobs
        on
            months.customer_id = jobs.customer_id
            and months.usage_month = jobs.usage_month
    left join credits_by_month as credits
        on
            months.customer_id = credits.customer_id
            and months.usage_month = credits.usage_month

)

select * from monthly_customer_usage
