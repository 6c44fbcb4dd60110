{#- History from full listings: the one pattern for customers, recipes and connections. -#}

{#- The usable rows of a full listing's extract (its base model), each entity once per listing, with extracted_at, when the
    listing was taken (listing_times), and is_current: whether it is the newest listing that holds the entity. Of several
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
                order by delivered.extracted_at desc, {{ tiebreak_text(attributes) }} desc
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
        listed_at = newest_listing_at as is_current
    from distinct_rows
    inner join newest using ({{ entity }})
{%- endmacro %}


{#- What tells orders, terms and ratios apart: the key of each; what of it holds at a time (group; only one where it is
    exclusive); and what they say (content). -#}
{% macro dated_extracts() -%}
    {{ return({
        'seats': {
            'key': ['customer_id', 'seat_order_id'],
            'group': ['customer_id'],
            'content': ['product', 'app_id', 'seats'],
            'is_exclusive': false,
        },
        'subscriptions': {
            'key': ['customer_id', 'effective_from'],
            'group': ['customer_id'],
            'content': [
                'recipe_metric', 'terms', 'included_credits', 'task_limit', 'allowance_per', 'unit_price', 'currency',
                'billing_cycle_day',
            ],
            'is_exclusive': true,
        },
        'credit_ratios': {
            'key': ['customer_id', 'terms', 'metric', 'call_type', 'effective_from'],
            'group': ['customer_id', 'terms', 'metric', 'call_type'],
            'content': ['credits_per_unit'],
            'is_exclusive': true,
        },
    }) }}
{%- endmacro %}


{#- The usable rows of one of those extracts (its base model), each with the listing that it belongs to, and texts of its
    key, group and content; and its listings. The beginning of a query. -#}
{% macro _delivered_terms(name) -%}
    {%- set terms = dated_extracts()[name] -%}
    with

    delivered as (

        select
            base.*,
            times.listed_at,
            {{ tiebreak_text(terms.key) }} as key_text,
            {{ tiebreak_text(terms.group) }} as group_text,
            {{ tiebreak_text(terms.content) }} as content_text,
            {{ tiebreak_text(terms.content + ['effective_from', 'effective_to']) }} as whole_text
        from {{ ref('base_' ~ name) }} as base
        left join {{ ref('listing_times') }} as times
            on
                base.extracted_at = times.extracted_at
                and times.extract_name = '{{ name }}'
        where base.quarantine_reason is null

    ),

    listings as (

        select
            listed_at,
            load_id,
            lag(listed_at) over (order by listed_at) as previous_listed_at,
            lead(listed_at) over (order by listed_at) as next_listed_at,
            lead(load_id) over (order by listed_at) as next_load_id
        from (
            select
                listed_at,
                max(load_id) as load_id
            from delivered
            where listed_at is not null
            group by listed_at
        ) as distinct_listings

    ),
{%- endmacro %}


{#- Orders, terms or ratios, each key once: the row that counts, and until when it is in force.

    Of several rows of a key the latest wins (extracted_at; then the greater one as text); of rows without extracted_at
    the one delivered last, by load and path. Rows with extracted_at are full listings (listing_times). What the newest
    listing lacks ended on the date of the first listing without it, or never was (effective_to is then effective_from),
    where that listing brings the same with a corrected effective_from instead: a row of the same group that the listing
    before lacks, of a period that overlaps, and with the same content or, where a group is exclusive, an earlier
    beginning. A row without extracted_at is in no listing, and none ends it. -#}
{% macro dated_terms(name) -%}
    {%- set terms = dated_extracts()[name] -%}
    {{ _delivered_terms(name) }}

    ranked as (

        select
            *,
            row_number() over (
                partition by key_text
                order by
                    extracted_at desc nulls last,
                    case when extracted_at is null then load_id end desc nulls last,
                    case when extracted_at is null then file_name end desc nulls last,
                    whole_text desc
            ) as delivery_rank,
            row_number() over (
                partition by key_text, listed_at order by extracted_at desc nulls last, whole_text desc
            ) as listing_rank
        from delivered

    ),

    current_rows as (

        select
            ranked.*,
            listings.next_listed_at
        from ranked
        left join listings on ranked.listed_at = listings.listed_at
        where ranked.delivery_rank = 1

    ),

    -- What each listing holds that the one before it did not.
    brought as (

        select
            held.listed_at,
            held.group_text,
            held.content_text,
            held.effective_from,
            held.effective_to
        from ranked as held
        inner join listings on held.listed_at = listings.next_listed_at
        left join ranked as held_before
            on
                held.key_text = held_before.key_text
                and listings.listed_at = held_before.listed_at
        where
            held.listing_rank = 1
            and held_before.key_text is null

    ),

    corrected as (

        select distinct current_rows.key_text
        from current_rows
        inner join brought
            on
                current_rows.next_listed_at = brought.listed_at
                and current_rows.group_text = brought.group_text
        where
            brought.effective_from <> current_rows.effective_from
            and brought.effective_from < coalesce(current_rows.effective_to, cast('9999-12-31' as date))
            and current_rows.effective_from < coalesce(brought.effective_to, cast('9999-12-31' as date))
            and (
                brought.content_text = current_rows.content_text
                {%- if terms.is_exclusive %}
                or brought.effective_from < current_rows.effective_from
                {%- endif %}
            )

    ),

    ended as (

        select
            current_rows.*,
            case
                when corrected.key_text is not null then 'corrected'
                when current_rows.next_listed_at is not null then 'not listed'
            end as ended_by,
            {{ local_date('current_rows.next_listed_at') }} as unlisted_on
        from current_rows
        left join corrected on current_rows.key_text = corrected.key_text

    )

    select
        {% for column in terms.key + terms.content | reject('in', terms.key) | list -%}
            {%- if column != 'effective_from' -%}
        {{ column }},
            {% endif -%}
        {%- endfor %}
        effective_from,
        case
            when ended_by = 'corrected' then effective_from
            when ended_by = 'not listed'
                then greatest(
                    effective_from, least(coalesce(effective_to, cast('9999-12-31' as date)), unlisted_on)
                )
            else effective_to
        end as effective_to,
        ended_by,
        unlisted_on,
        listed_at as extracted_at
    from ended
{%- endmacro %}


{#- The corrections of the past among the rows of one of those extracts: where a row says something else of a day before
    the date of its listing (of its load, without extracted_at) than the row of its key before it; where it is listed again
    after a listing lacked it; where it is new and begins before the date of the listing before; and what never was. -#}
{% macro corrections_of_terms(name, what) -%}
    {%- set terms = dated_extracts()[name] -%}
    {{ _delivered_terms(name) }}

    -- The newest time of all that had come with a load, which is when its rows were said.
    loads as (

        select
            load_id,
            max(newest_at) over (order by load_id) as known_at
        from (
            select
                load_id,
                max(newest_extracted_at) as newest_at
            from {{ ref('delivery_totals') }}
            group by load_id
        ) as totals

    ),

    versions as (

        select
            delivered.*,
            {{ local_date('coalesce(delivered.listed_at, loads.known_at)') }} as said_on,
            {{ what }} as subject,
            trim(
                {% for column in terms.content -%}
                    coalesce('{{ column }} ' || {{ as_text('delivered.' ~ column) }} || ', ', '') ||
                {% endfor -%}
                'from ' || {{ as_text('delivered.effective_from') }}
                || coalesce(' to ' || {{ as_text('delivered.effective_to') }}, '')
            ) as says
        from delivered
        left join loads on delivered.load_id = loads.load_id

    ),

    followed as (

        select
            *,
            lag(key_text) over versions_in_time is null as is_first,
            lag(content_text) over versions_in_time as earlier_content_text,
            lag(effective_from) over versions_in_time as earlier_from,
            lag(effective_to) over versions_in_time as earlier_to,
            lag(says) over versions_in_time as earlier_says,
            lag(listed_at) over versions_in_time as earlier_listed_at
        from versions
        window versions_in_time as (
            partition by key_text
            order by
                extracted_at asc nulls first,
                case when extracted_at is null then load_id end asc nulls first,
                case when extracted_at is null then file_name end asc nulls first,
                whole_text asc,
                load_id asc,
                file_name asc
        )

    ),

    -- The first day on which the row says something else than the one before it.
    compared as (

        select
            followed.*,
            case
                when followed.is_first then null
                when
                    followed.content_text <> followed.earlier_content_text
                    or followed.effective_from <> followed.earlier_from
                    then least(followed.effective_from, followed.earlier_from)
                when
                    coalesce(followed.effective_to, cast('9999-12-31' as date))
                    <> coalesce(followed.earlier_to, cast('9999-12-31' as date))
                    then least(
                        coalesce(followed.effective_to, cast('9999-12-31' as date)),
                        coalesce(followed.earlier_to, cast('9999-12-31' as date))
                    )
            end as changed_from,
            case
                when earlier_listings.next_listed_at < followed.listed_at
                    then {{ local_date('earlier_listings.next_listed_at') }}
            end as unlisted_on,
            {{ local_date('listings.previous_listed_at') }} as previous_listed_on
        from followed
        left join listings on followed.listed_at = listings.listed_at
        left join listings as earlier_listings on followed.earlier_listed_at = earlier_listings.listed_at

    ),

    changes as (

        select
            customer_id,
            subject,
            said_on,
            load_id,
            changed_from,
            earlier_says || ' became ' || says as detail
        from compared
        where changed_from < coalesce(said_on, cast('9999-12-31' as date))

        union all

        select
            customer_id,
            subject,
            said_on,
            load_id,
            unlisted_on as changed_from,
            'listed again: ' || says as detail
        from compared
        where
            unlisted_on < said_on
            and unlisted_on >= effective_from
            and unlisted_on < coalesce(effective_to, cast('9999-12-31' as date))

        union all

        select
            customer_id,
            subject,
            said_on,
            load_id,
            effective_from as changed_from,
            'new, and begins before the listing of ' || cast(previous_listed_on as string) || ': ' || says as detail
        from compared
        where
            is_first
            and effective_from < previous_listed_on
            and effective_from < coalesce(effective_to, cast('9999-12-31' as date))

        union all

        select
            delivered.customer_id,
            {{ what }} as subject,
            delivered.unlisted_on as said_on,
            listings.next_load_id as load_id,
            delivered.effective_from as changed_from,
            'never was: the listing brings a corrected effective_from' as detail
        from {{ ref('stg_' ~ name) }} as delivered
        inner join listings on delivered.extracted_at = listings.listed_at
        where
            delivered.ended_by = 'corrected'
            and delivered.effective_from < delivered.unlisted_on

    )

    select
        '{{ name }}' as extract_name,
        customer_id,
        subject,
        detail,
        said_on,
        changed_from,
        load_id
    from changes
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
