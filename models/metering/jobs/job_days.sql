with

jobs as (

    select * from {{ ref('metered_jobs') }}

),

erased as (

    select * from {{ ref('rejected_rows') }}
    where
        reason = '{{ erased_reasons()[0] }}'
        and extract_name in ('jobs', 'job_history')

),

-- Poll errors and test jobs are no usage, but they show that the extracts reach this day. So do the jobs of an erased
-- customer, which count no more.
days as (

    select
        usage_date,
        customer_id
    from jobs
    where
        is_finished
        and not is_admin

    union all

    select
        {{ local_date(text_to_utc(json_text('row_content', 'completed_at'))) }} as usage_date,
        cast(null as string) as customer_id
    from erased

),

job_days as (

    select
        usage_date,
        count(customer_id) as jobs,
        count(distinct customer_id) as customers
    from days
    where usage_date is not null
    group by usage_date

)

select * from job_days
