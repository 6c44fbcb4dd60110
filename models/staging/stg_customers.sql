with

base_customers as (

    select * from {{ ref('base_customers') }}

),

-- One listing names each customer once; repeats of it are put in order by their text.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, extracted_at
            order by
                {{ row_text([
                    'external_id', 'customer_name', 'plan_id', 'is_in_trial',
                    'is_subscription_expired', 'created_at',
                ]) }} desc
        ) as delivery_rank

    from base_customers
    where quarantine_reason is null

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
        extracted_at,
        row_number() over (
            partition by customer_id order by extracted_at desc
        ) = 1 as is_latest

    from ranked
    where delivery_rank = 1

)

select * from stg_customers
