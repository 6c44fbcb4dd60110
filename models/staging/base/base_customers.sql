with

extracted as (

    select * from {{ extract('customers') }}

),

judged as (

    select
        extracted.*,
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
        coalesce(try_cast(in_trial as boolean), false) as is_in_trial,
        coalesce(try_cast(subscription_expired as boolean), false) as is_subscription_expired,

        -- times
        {{ to_utc('created_at') }} as created_at,
        {{ to_utc('extracted_at') }} as extracted_at,

        -- where it comes from, and whether it can be used
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('customers') }} end as row_content

    from judged

)

select * from base_customers
