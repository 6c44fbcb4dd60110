{% set extracts = [
    'customers', 'recipes', 'connections', 'jobs', 'steps', 'job_history', 'api_requests', 'api_collections',
    'event_stream_requests', 'genie_prompts', 'seats', 'subscriptions', 'credit_ratios', 'recommended_recipes',
    'vendor_usage',
] %}

with

as_of as (

    select {{ start_of_day_in_utc('as_of_date') }} as as_of_date_starts_at
    from {{ ref('as_of') }}

),

extracts as (
    {% for extract in extracts %}
        select '{{ extract }}' as extract_name
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

delivered as (

    select
        extract_name,
        max(newest_extracted_at) as newest_at
    from {{ ref('delivery_totals') }}
    group by extract_name

),

times as (

    select
        extract_name,
        listed_at as extracted_at
    from {{ ref('listing_times') }}

    union all

    select
        extract_name,
        extracted_at
    from {{ ref('delivered_jobs') }}

    union all

    select
        extract_name,
        extracted_at
    from {{ ref('delivered_requests') }}

    union all

    select
        'vendor_usage' as extract_name,
        extracted_at
    from {{ ref('vendor_reports') }}

),

delivery_days as (

    select distinct
        extract_name,
        {{ local_date('extracted_at') }} as delivered_on
    from times

),

intervals as (

    select
        extract_name,
        {{ days_between(
            'lag(delivered_on) over (partition by extract_name order by delivered_on)', 'delivered_on'
        ) }} as interval_days,
        row_number() over (partition by extract_name order by delivered_on desc) as recency
    from delivery_days

),

ranked as (

    select
        extract_name,
        interval_days,
        row_number() over (partition by extract_name order by interval_days desc) as interval_rank,
        count(*) over (partition by extract_name) as intervals
    from intervals
    where
        interval_days is not null
        and recency <= 30

),

-- Nine of ten intervals are not longer.
rhythms as (

    select
        extract_name,
        cast(min(interval_days) * 24 as bigint) as usual_interval_hours
    from ranked
    where 10 * (interval_rank - 1) <= intervals
    group by extract_name

),

compared as (

    select
        extracts.extract_name,
        delivered.extract_name is not null as is_delivered,
        delivered.newest_at,
        rhythms.usual_interval_hours,
        cast(
            case
                when delivered.newest_at < as_of.as_of_date_starts_at
                    then {{ hours_between('delivered.newest_at', 'as_of.as_of_date_starts_at') }}
                when delivered.newest_at >= as_of.as_of_date_starts_at then 0
            end as bigint
        ) as behind_hours
    from extracts
    cross join as_of
    left join delivered on extracts.extract_name = delivered.extract_name
    -- steps are delivered with their jobs
    left join rhythms
        on
            rhythms.extract_name = case extracts.extract_name when 'steps' then 'jobs' else extracts.extract_name end
            and delivered.newest_at is not null

),

extract_freshness as (

    select
        *,
        coalesce(behind_hours > usual_interval_hours, false) as is_late
    from compared

)

select * from extract_freshness
