with

customer_history as (

    {{ validity_intervals(
        ref('stg_customers'),
        key=['customer_id'],
        attributes=[
            'external_id', 'customer_name', 'plan_id', 'is_in_trial', 'is_subscription_expired', 'created_at',
            'is_admin',
        ]
    ) }}

)

select * from customer_history
