with

as_of as (

    select * from {{ ref('as_of') }}

),

customer_months as (

    select * from {{ ref('monthly_customer_usage') }}

),

job_days as (

    select * from {{ ref('job_days') }}

),

-- T-START: task usage exists from October 2020 on.
months as (

    select {{ date_spine("'2020-10-01'", 'as_of_month', 'month') }} as usage_month
    from as_of

),

monthly_tasks as (

    select
        months.usage_month,
        cast(coalesce(sum(customer_months.tasks), 0) as bigint) as tasks,
        count(*) filter (where customer_months.tasks > 0) as active_customers,
        {{ is_covered('months.usage_month') }} as is_covered

    from months
    left join customer_months on months.usage_month = customer_months.usage_month
    group by months.usage_month

)

select * from monthly_tasks
