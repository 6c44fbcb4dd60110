with

base_vendor_usage as (

    select * from {{ ref('base_vendor_usage') }}

),

-- The latest delivery wins; of two with the same time, the greater row as text.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, usage_month
            order by
                extracted_at desc,
                {{ tiebreak_text(['tasks', 'jobs_succeeded', 'jobs_failed']) }} desc
        ) as delivery_rank

    from base_vendor_usage
    where quarantine_reason is null

),

stg_vendor_usage as (

    select
        customer_id,
        tasks,
        jobs_succeeded,
        jobs_failed,
        usage_month,
        extracted_at

    from ranked
    where delivery_rank = 1

)

select * from stg_vendor_usage
