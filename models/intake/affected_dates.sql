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

-- A month is compared with the vendor's figures anew if there is another report of it.
reported_months as (

    select distinct reports.usage_month
    from {{ ref('vendor_reports') }} as reports
    left join {{ source('run_state', 'known_vendor_reports') }} as known
        on
            reports.customer_id = known.customer_id
            and reports.usage_month = known.usage_month
            and reports.extracted_at = known.extracted_at
    where known.customer_id is null

),

affected_dates as (

    -- In the vendor's time zone a unit may be a day earlier or later.
    select
        {% if vendor_timezone() == var('reporting_timezone') -%}
            usage_date as first_date,
            usage_date as last_date
        {%- else -%}
            cast(usage_date - interval '1' day as date) as first_date,
            cast(usage_date + interval '1' day as date) as last_date
        {%- endif %}
    from delivered_dates
    where usage_date is not null

    union

    select
        usage_month as first_date,
        usage_month as last_date
    from reported_months

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
