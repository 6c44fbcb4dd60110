with

vendor_reports as (

    select distinct
        customer_id,
        usage_month,
        extracted_at
    from {{ ref('base_vendor_usage') }}
    where quarantine_reason is null

)

select * from vendor_reports
