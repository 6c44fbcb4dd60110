{#- Seconds. Rows of one listing are at most so far from its latest time. -#}
{% set tolerance = (var('listing_tolerance_hours') | float * 3600) | round | int %}
{% set listed = [
    'customers', 'recipes', 'connections', 'api_collections', 'seats', 'subscriptions', 'credit_ratios',
] %}

with recursive

times as (
    {% for extract in listed %}
        select
            '{{ extract }}' as extract_name,
            extracted_at
        from {{ ref('base_' ~ extract) }}
        where
            -- a listing stays one without the rows of an erased customer
            (quarantine_reason is null or quarantine_reason = '{{ erased_reasons()[0] }}')
            and extracted_at is not null
        group by extracted_at
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

-- For each time: the newest time that is too old to be in one listing with it, and whether it is certainly the latest
-- time of its listing, because the next newer time is beyond the tolerance.
neighbours as (

    select
        extract_name,
        extracted_at,
        max(extracted_at) over (
            partition by extract_name order by extracted_at asc
            range between unbounded preceding and interval '{{ tolerance }}.000001' second preceding
        ) as next_listing_at,
        coalesce(
            lead(extracted_at) over (partition by extract_name order by extracted_at asc)
            > extracted_at + interval '{{ tolerance }}' second,
            true
        ) as is_newest_of_listing
    from times

),

-- The latest time of each listing, from the newest backwards. Only listings that follow each other closely need the
-- recursion.
listings as (

    select
        extract_name,
        extracted_at as listed_at,
        next_listing_at
    from neighbours
    where is_newest_of_listing

    union all

    select
        neighbours.extract_name,
        neighbours.extracted_at as listed_at,
        neighbours.next_listing_at
    from listings
    inner join neighbours
        on
            listings.extract_name = neighbours.extract_name
            and listings.next_listing_at = neighbours.extracted_at
    where not neighbours.is_newest_of_listing

),

marked as (

    select
        times.extract_name,
        times.extracted_at,
        listings.listed_at
    from times
    left join listings
        on
            times.extract_name = listings.extract_name
            and times.extracted_at = listings.listed_at

),

listing_times as (

    select
        extract_name,
        extracted_at,
        min(listed_at) over (
            partition by extract_name order by extracted_at asc
            rows between current row and unbounded following
        ) as listed_at
    from marked

)

select * from listing_times
