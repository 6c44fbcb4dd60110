with

extracted as (

    select * from {{ extract('vendor_usage') }}

),

-- Each value as the contract's type; null where it can't be read.
parsed as (

    select
        *,
        {{ to_date('usage_month') }} as read_usage_month,
        {{ to_whole_number('tasks') }} as read_tasks,
        {{ to_whole_number('jobs_succeeded') }} as read_jobs_succeeded,
        {{ to_whole_number('jobs_failed') }} as read_jobs_failed,
        {{ to_utc('extracted_at') }} as read_extracted_at

    from extracted

),

judged as (

    select
        *,
        {{ quarantine_reason('vendor_usage') }} as quarantine_reason

    from parsed

),

base_vendor_usage as (

    select
        -- ids
        account_id as customer_id,

        -- what it is
        read_tasks as tasks,
        read_jobs_succeeded as jobs_succeeded,
        read_jobs_failed as jobs_failed,

        -- times
        read_usage_month as usage_month,
        read_extracted_at as extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('vendor_usage') }} end as row_content

    from judged

)

select * from base_vendor_usage
