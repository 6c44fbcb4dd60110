with

extracted as (

    select * from {{ extract('customers') }}

),

-- Each value as the contract's type; null where it can't be read.
parsed as (

    select
        *,
        {{ to_boolean('in_trial') }} as read_in_trial,
        {{ to_boolean('subscription_expired') }} as read_subscription_expired,
        {{ to_utc('created_at') }} as read_created_at,
        {{ to_utc('extracted_at') }} as read_extracted_at

    from extracted

),

judged as (

    select
        *,
        {{ quarantine_reason('customers') }} as quarantine_reason

    from parsed

),

base_customers as (

    select
        -- ids
        id as customer_id,
        external_id,
        plan_id,

        -- what it is
        name as customer_name,
        coalesce(read_in_trial, false) as is_in_trial,
        coalesce(read_subscription_expired, false) as is_subscription_expired,

        -- times
        read_created_at as created_at,
        read_extracted_at as extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('customers') }} end as row_content

    from judged

)

select * from base_customers
