with

as_of as (

    select * from {{ ref('as_of') }}

),

customer_months as (

    select * from {{ ref('monthly_customer_usage') }}

),

last_12_months as (

    select
        customer_months.customer_id,
        customer_months.customer_name,
        cast(as_of.as_of_month - interval '11' month as date) as months_from,
        as_of.as_of_month as months_to,
        sum(customer_months.tasks) as tasks

    from customer_months
    inner join as_of
        on customer_months.usage_month > cast(as_of.as_of_month - interval '12' month as date)
    group by
        customer_months.customer_id, customer_months.customer_name, as_of.as_of_month

),

ranked as (

    select
        *,
        row_number() over (order by tasks desc, customer_name asc nulls last, customer_id asc) as usage_rank
    from last_12_months
    where tasks > 0

),

top_customers as (

    select
        cast(usage_rank as bigint) as rank,
        customer_id,
        customer_name,
        cast(tasks as bigint) as tasks,
        months_from,
        months_to
    from ranked
    where usage_rank <= 3

)

select * from top_customers
