with

extracted as (

    select * from {{ extract('vendor_usage') }}

),

judged as (

    select
        extracted.*,
        {{ quarantine_reason('vendor_usage') }} as quarantine_reason

    from extracted

),

base_vendor_usage as (

    select
        -- ids
        account_id as customer_id,

        -- what it is
        {{ to_whole_number('tasks') }} as tasks,
        {{ to_whole_number('jobs_succeeded') }} as jobs_succeeded,
        {{ to_whole_number('jobs_failed') }} as jobs_failed,

        -- times
        {{ to_date('usage_month') }} as usage_month,
        {{ to_utc('extracted_at') }} as extracted_at,

        -- where it comes from, and whether it can be used
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('vendor_usage') }} end as row_content

    from judged

)

select * from base_vendor_usage
