with

jobs as (

    select * from {{ ref('metered_jobs') }}

),

-- Poll errors and test jobs are no usage, but they show that the extracts reach this day.
job_days as (

    select
        usage_date,
        count(*) as jobs,
        count(distinct customer_id) as customers
    from jobs
    where
        is_finished
        and not is_admin
    group by usage_date

)

select * from job_days
