with

months as (

    select * from {{ ref('months') }}

),

monthly_customers as (

    select * from {{ ref('monthly_customers') }}

),

customer_trends as (

    select
        monthly_customers.usage_month,
        monthly_customers.customers,
        monthly_customers.new_customers,
        monthly_customers.deleted_customers,
        monthly_customers.is_reconstructed

    from monthly_customers
    inner join months on monthly_customers.usage_month = months.usage_month
    where months.is_in_last_6_months

)

select * from customer_trends
