with

extracted as (

    select * from {{ extract('customers') }}

),

checked as (

    select
        *,
        {{ quarantine_reason('customers') }} as quarantine_reason

    from extracted

),

base_customers as (

    select
        -- ids
        id as customer_id,
        external_id,
        plan_id,

        -- what it is
        name as customer_name,
        coalesce(in_trial, false) as is_in_trial,
        coalesce(subscription_expired, false) as is_subscription_expired,

        -- times
        created_at,
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('customers') }} end as row_content

    from checked

)

select * from base_customers
