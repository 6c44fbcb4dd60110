with

units as (

    select * from {{ ref('units_this_run') }}

),

delivered_dates as (

    select deliveries.usage_date
    from {{ ref('delivered_jobs') }} as deliveries
    inner join units on deliveries.job_hash = units.unit_hash
    where units.unit_kind = 'job'

    union

    select requests.usage_date
    from {{ ref('delivered_requests') }} as requests
    inner join units on requests.request_hash = units.unit_hash
    where units.unit_kind = 'request'

),

affected_dates as (

    select
        usage_date as first_date,
        usage_date as last_date
    from delivered_dates
    where usage_date is not null

    union

    -- Marts end with the as-of date. If it moves, the dates in between are added or removed.
    select
        least(as_of.as_of_date, watermark.as_of_date) as first_date,
        greatest(as_of.as_of_date, watermark.as_of_date) as last_date
    from {{ ref('as_of') }} as as_of
    cross join {{ source('run_state', 'watermark') }} as watermark
    where as_of.as_of_date <> watermark.as_of_date

)

select * from affected_dates
