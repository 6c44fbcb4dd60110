with

customers as (

    select * from {{ ref('stg_customers') }}
    where is_current

),

active_accounts as (

    select
        customer_id,
        'job' as seen_as,
        usage_date
    from {{ ref('metered_jobs') }}
    where not is_admin

    union all

    select
        customer_id,
        'request' as seen_as,
        usage_date
    from {{ ref('metered_requests') }}
    where not is_admin

    union all

    select
        customer_id,
        'seat' as seen_as,
        usage_date
    from {{ ref('metered_seats') }}
    where not is_admin

),

unlisted_customers as (

    select
        active_accounts.customer_id,
        min(active_accounts.usage_date) as first_usage_date,
        max(active_accounts.usage_date) as last_usage_date,
        count(*) filter (where active_accounts.seen_as = 'job') as jobs,
        count(*) filter (where active_accounts.seen_as = 'request') as requests,
        count(*) filter (where active_accounts.seen_as = 'seat') as seat_days

    from active_accounts
    left join customers on active_accounts.customer_id = customers.customer_id
    where customers.customer_id is null
    group by active_accounts.customer_id

)

select * from unlisted_customers
