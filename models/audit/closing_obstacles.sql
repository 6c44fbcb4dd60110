{% set listings = ['customers', 'recipes', 'connections'] %}

with

months as (

    select
        usage_month,
        bool_and(is_covered) as is_covered,
        {{ start_of_day_in_utc('usage_month') }} as begins_at,
        {{ start_of_day_in_utc("cast(usage_month + interval '1' month as date)") }} as ends_at
    from {{ ref('monthly_customer_usage') }}
    group by usage_month

),

-- The newest delivery of work (B-NOT-YET), and of each extract that must be there. Streamed jobs contain their steps.
newest as (

    select
        max(case when extract_name <> 'steps' then newest_extracted_at end) as of_work,
        max(case when extract_name in ('jobs', 'job_history') then newest_extracted_at end) as of_jobs,
        max(case when extract_name in ('steps', 'job_history') then newest_extracted_at end) as of_steps
    from {{ ref('delivery_totals') }}
    where extract_name in ('jobs', 'steps', 'job_history', 'api_requests', 'event_stream_requests', 'genie_prompts')

),

listings as (

    select
        extract_name,
        min(listed_at) as first_listed_at,
        max(listed_at) as last_listed_at
    from {{ ref('listing_times') }}
    where extract_name in ('{{ listings | join("', '") }}')
    group by extract_name

),

required_listings as (
    {% for extract in listings %}
        select '{{ extract }}' as extract_name
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- Rows without a readable month may belong to the month that had not ended when they were delivered; without a time of
-- delivery, to any.
quarantined as (

    select
        months.usage_month,
        rejected.extract_name,
        sum(rejected.quarantined_rows) as quarantined_rows
    from {{ ref('quarantined_usage') }} as rejected
    inner join months
        on coalesce(rejected.usage_month, rejected.delivered_in, months.usage_month) = months.usage_month
    group by months.usage_month, rejected.extract_name

),

loads as (

    select
        load_id,
        max(newest_extracted_at) as newest_extracted_at
    from {{ ref('delivery_totals') }}
    group by load_id

),

-- A file of which no row is read may have what happened since the load before.
files as (

    select
        files.file_name,
        max(case when loads.load_id <= files.load_id then loads.newest_extracted_at end) as delivered_by,
        max(case when loads.load_id < files.load_id then loads.newest_extracted_at end) as delivered_after
    from {{ ref('quarantined_files') }} as files
    cross join loads
    where
        not files.is_replaced
        and files.extract_name not in (select required_listings.extract_name from required_listings)
    group by files.file_name, files.load_id

),

unexplained as (

    {{ unexplained_usage(ref('usage_reconciliation')) }}

),

closing_obstacles as (

    select
        months.usage_month,
        'month not over' as obstacle,
        'jobs and requests' as subject,
        'the newest extracted_at is ' || coalesce(cast(newest.of_work as string), 'unknown') as detail
    from months
    cross join newest
    where coalesce(newest.of_work < months.ends_at, true)

    union all

    select
        usage_month,
        'rows in quarantine' as obstacle,
        extract_name as subject,
        cast(quarantined_rows as string) || case when quarantined_rows = 1 then ' row' else ' rows' end
        || ' may belong to the month' as detail
    from quarantined

    union all

    select distinct
        months.usage_month,
        'rows in quarantine' as obstacle,
        files.file_name as subject,
        'the file cannot be read, and its rows may belong to the month' as detail
    from files
    inner join months
        on
            coalesce(files.delivered_by >= months.begins_at, true)
            and coalesce(files.delivered_after < months.ends_at, true)

    union all

    select
        usage_month,
        'month not covered' as obstacle,
        'jobs' as subject,
        'the extracts of jobs begin after the first day of the month' as detail
    from months
    where not is_covered

    union all

    select
        usage_month,
        'unexplained usage' as obstacle,
        coalesce(customer_id, 'all customers') || ', ' || metric as subject,
        cast(quantity as string) || ' units are unexplained; ours is ' || cast(our_quantity as string)
        || ', the vendor says ' || cast(vendor_quantity as string) as detail
    from unexplained
    where
        quantity >= {{ var('unexplained_floor') }}
        and quantity > {{ var('unexplained_close_share') }} * greatest(our_quantity, vendor_quantity)

    union all

    select
        months.usage_month,
        'listing missing' as obstacle,
        required_listings.extract_name as subject,
        coalesce(
            'listed from ' || cast(listings.first_listed_at as string)
            || ' to ' || cast(listings.last_listed_at as string),
            'never listed'
        ) as detail
    from months
    cross join required_listings
    left join listings on required_listings.extract_name = listings.extract_name
    where
        listings.first_listed_at is null
        or listings.first_listed_at > months.ends_at
        or listings.last_listed_at < months.begins_at
    {% for extract in ['jobs', 'steps'] %}

        union all

        select
            months.usage_month,
            'extract missing' as obstacle,
            '{{ extract }}' as subject,
            'no delivery since the month began' as detail
        from months
        cross join newest
        where coalesce(newest.of_{{ extract }} < months.begins_at, true)
    {% endfor %}
)

select * from closing_obstacles
