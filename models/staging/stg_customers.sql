with

listed_once as (

    {{ listed_once(
        'customers',
        key=['customer_id'],
        attributes=[
            'external_id', 'customer_name', 'plan_id', 'is_in_trial', 'is_subscription_expired',
            'created_at',
        ]
    ) }}

),

stg_customers as (

    select
        customer_id,
        external_id,
        plan_id,
        customer_name,
        is_in_trial,
        is_subscription_expired,
        created_at,
        is_admin,
        extracted_at,
        is_current

    from listed_once

)

select * from stg_customers
