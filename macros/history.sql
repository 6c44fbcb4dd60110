{#- History from full listings: the one pattern for customers, recipes and connections. -#}

{#- The usable rows of a full listing's extract (its base model), each entity once per listing, with extracted_at, when the
    listing was taken (listing_times), and is_latest: whether it is the newest listing that holds the entity. Of several
    rows of one listing the latest wins, then the greater one as text; only those are put in order, since most listings
    repeat nothing, and they may be millions of rows. Like validity_intervals() it reads relations rather than a CTE,
    which DuckDB would copy before it reads it more than once. -#}
{% macro listed_once(name, key, attributes) -%}
    {%- set entity = key | join(', ') -%}
    {%- set columns = (key + attributes) | join(', ') -%}
    {%- set delivered = ref('base_' ~ name) -%}
    {%- set listing -%}
        inner join {{ ref('listing_times') }} as times
            on
                delivered.extracted_at = times.extracted_at
                and times.extract_name = '{{ name }}'
    {%- endset -%}
    with

    repeated as (

        select
            {{ entity }},
            times.listed_at,
            true as is_repeated
        from {{ delivered }} as delivered
        {{ listing }}
        where quarantine_reason is null
        group by {{ entity }}, times.listed_at
        having count(*) > 1

    ),

    newest as (

        select
            {{ entity }},
            max(times.listed_at) as newest_listing_at
        from {{ delivered }} as delivered
        {{ listing }}
        where quarantine_reason is null
        group by {{ entity }}

    ),

    ranked as (

        select
            {{ columns }},
            listed_at,
            row_number() over (
                partition by {{ entity }}, listed_at
                order by delivered.extracted_at desc, {{ row_text(attributes) }} desc
            ) as delivery_rank
        from {{ delivered }} as delivered
        {{ listing }}
        inner join repeated using ({{ entity }}, listed_at)
        where quarantine_reason is null

    ),

    distinct_rows as (

        select
            {{ columns }},
            listed_at
        from {{ delivered }} as delivered
        {{ listing }}
        left join repeated using ({{ entity }}, listed_at)
        where
            quarantine_reason is null
            and repeated.is_repeated is null

        union all

        select
            {{ columns }},
            listed_at
        from ranked
        where delivery_rank = 1

    )

    select
        {{ columns }},
        listed_at as extracted_at,
        listed_at = newest_listing_at as is_latest
    from distinct_rows
    inner join newest using ({{ entity }})
{%- endmacro %}


{#- The periods in which an entity was listed with the same attributes, one row each, from the relation `listed` with one
    row per entity and listing. A period holds from its first listing (valid_from) until, excluding, the first one that
    says something else or nothing (valid_to, null while it holds); last_listed_at is the last that said it, so the change
    was made after it. However many listings repeat it, it is one row. Only entities that return to something they were
    before need their listings put in order. -#}
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

    -- Within an unbroken run, listing number and rank grow alike.
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
        end as began_as,
        case
            when last_listings.next_listing_at is null then null
            when lead(runs.first_listing) over entity_in_time = runs.last_listing + 1 then 'changed'
            else 'gone'
        end as ended_as
    from runs
    inner join listings as first_listings on runs.first_listing = first_listings.listing_number
    inner join listings as last_listings on runs.last_listing = last_listings.listing_number
    window entity_in_time as (partition by {{ entity }} order by runs.first_listing)
{%- endmacro %}


{#- Whether an interval of validity_intervals() holds at an instant. -#}
{% macro is_valid_at(alias, instant) -%}
    {{ alias }}.valid_from <= {{ instant }}
    and {{ instant }} < coalesce({{ alias }}.valid_to, cast('9999-12-31' as timestamp))
{%- endmacro %}


{#- From the members of each month (one row per member and month in `members`), a row per member and month in which it is
    there, or is no longer there: is_present, is_new (not there the month before), is_gone (there the month before). -#}
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
