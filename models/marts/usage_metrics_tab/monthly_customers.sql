with

months as (

    select * from {{ ref('month_listings') }}
    where extract_name = 'customers'

),

customers as (

    select * from {{ ref('customer_history') }}

),

members as (

    select
        months.usage_month,
        customers.customer_id

    from months
    inner join customers on {{ is_valid_at('customers', 'months.snapshot_at') }}
    where
        (not months.is_reconstructed or customers.created_at < months.ends_at)
        and not customers.is_admin

),

changes as (

    {{ month_to_month('members', ['customer_id']) }}

),

monthly_customers as (

    select
        months.usage_month,
        months.is_reconstructed,
        count(*) filter (where changes.is_present) as customers,
        count(*) filter (where changes.is_new) as new_customers,
        count(*) filter (where changes.is_gone) as deleted_customers

    from months
    left join changes on months.usage_month = changes.usage_month
    group by months.usage_month, months.is_reconstructed

)

select * from monthly_customers
