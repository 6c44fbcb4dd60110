{#- Ranks only the listings of entities that return to an earlier state. -#}
{% macro validity_intervals(listed, key, attributes) -%}
    {%- set entity = key | join(', ') -%}
    {%- set state = (key + attributes) | join(', ') -%}
    with

    listings as (

        select
            extracted_at,
            row_number() over (order by extracted_at) as listing_number,
            lead(extracted_at) over (order by extracted_at) as next_listing_at
        from (select distinct extracted_at from {{ listed }}) as distinct_listings

    ),

    states as (

        select
            {{ state }},
            min(extracted_at) as first_listed_at,
            max(extracted_at) as last_listed_at,
            count(*) as listings
        from {{ listed }}
        group by {{ state }}

    ),

    numbered_states as (

        select
            states.*,
            first_listings.listing_number as first_listing,
            last_listings.listing_number as last_listing
        from states
        inner join listings as first_listings on states.first_listed_at = first_listings.extracted_at
        inner join listings as last_listings on states.last_listed_at = last_listings.extracted_at

    ),

    returning_entities as (

        select distinct {{ entity }}
        from numbered_states
        where listings < last_listing - first_listing + 1

    ),

    -- In consecutive listings, listing number and rank increase equally, so their difference is constant.
    ranked as (

        select
            {{ state }},
            listing_number,
            listing_number - row_number() over (partition by {{ state }} order by listing_number) as run
        from {{ listed }}
        inner join returning_entities using ({{ entity }})
        inner join listings using (extracted_at)

    ),

    runs as (

        select
            {{ state }},
            min(listing_number) as first_listing,
            max(listing_number) as last_listing
        from ranked
        group by {{ state }}, run

        union all

        select
            {{ state }},
            first_listing,
            last_listing
        from numbered_states
        left join (select *, true as is_returning from returning_entities) as returning_entities using ({{ entity }})
        where is_returning is null

    )

    select
        {%- for column in key + attributes %}
        runs.{{ column }},
        {%- endfor %}
        first_listings.extracted_at as valid_from,
        last_listings.extracted_at as last_listed_at,
        last_listings.next_listing_at as valid_to,
        case
            when lag(runs.last_listing) over entity_in_time is null then 'first seen'
            when lag(runs.last_listing) over entity_in_time = runs.first_listing - 1 then 'changed'
            else 'listed again'
        end as start_reason,
        case
            when last_listings.next_listing_at is null then null
            when lead(runs.first_listing) over entity_in_time = runs.last_listing + 1 then 'changed'
            else 'gone'
        end as end_reason
    from runs
    inner join listings as first_listings on runs.first_listing = first_listings.listing_number
    inner join listings as last_listings on runs.last_listing = last_listings.listing_number
    window entity_in_time as (partition by {{ entity }} order by runs.first_listing)
{%- endmacro %}


{% macro is_valid_at(alias, instant) -%}
    {{ alias }}.valid_from <= {{ instant }}
    and {{ instant }} < coalesce({{ alias }}.valid_to, cast('9999-12-31' as timestamp))
{%- endmacro %}


{% macro month_to_month(members, key) -%}
    {%- set member = key | join(', ') -%}
    with

    neighbours as (

        select
            {{ member }},
            usage_month,
            cast(usage_month - interval '1' month as date) as previous_month,
            cast(usage_month + interval '1' month as date) as next_month,
            lag(usage_month) over (partition by {{ member }} order by usage_month) as earlier_month,
            lead(usage_month) over (partition by {{ member }} order by usage_month) as later_month
        from {{ members }}

    )

    select
        {{ member }},
        usage_month,
        true as is_present,
        coalesce(earlier_month <> previous_month, true) as is_new,
        false as is_gone
    from neighbours

    union all

    select
        {{ member }},
        next_month as usage_month,
        false as is_present,
        false as is_new,
        true as is_gone
    from neighbours
    where later_month is distinct from next_month
{%- endmacro %}
