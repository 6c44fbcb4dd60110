with

extracted as (

    select * from {{ extract('vendor_usage') }}

),

-- Words and dates as the contract defines them; null if they cannot be read.
parsed as (

    select
        *,
        {{ to_date('usage_month') }} as read_usage_month

    from extracted

),

checked as (

    select
        *,
        {{ quarantine_reason('vendor_usage') }} as quarantine_reason

    from parsed

),

base_vendor_usage as (

    select
        -- ids
        account_id as customer_id,

        -- its figures
        tasks,
        business_actions,
        api_calls,
        pages_processed,
        events_processed,
        mcp_calls,
        genie_actions,
        jobs_succeeded,
        jobs_failed,

        -- times
        read_usage_month as usage_month,
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('vendor_usage') }} end as row_content

    from checked

)

select * from base_vendor_usage
