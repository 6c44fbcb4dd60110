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


{#- All seat orders, subscriptions and ratios as they are in force. -#}
{% macro terms_in_force(staging) -%}
    {%- for name, terms in dated_extracts().items() %}
    select
        '{{ name }}' as extract_name,
        customer_id,
        effective_from,
        effective_to,
        {{ tiebreak_text(terms.key + terms.content) }} as content
    from {{ staging ~ '.stg_' ~ name if staging else ref('stg_' ~ name) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#- The first CTEs of a query. delivered: the usable rows of one of dated_extracts(), with their listing and their key,
    group and content as texts. listings: the listings with their neighbours. -#}
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

    -- Rows of a listing whose key the previous listing does not contain.
    new_rows as (

        select
            listed.listed_at,
            listed.group_text,
            listed.content_text,
            listed.effective_from,
            listed.effective_to
        from ranked as listed
        inner join listings on listed.listed_at = listings.next_listed_at
        left join ranked as listed_before
            on
                listed.key_text = listed_before.key_text
                and listings.listed_at = listed_before.listed_at
        where
            listed.listing_rank = 1
            and listed_before.key_text is null

    ),

    corrected as (

        select distinct current_rows.key_text
        from current_rows
        inner join new_rows
            on
                current_rows.next_listed_at = new_rows.listed_at
                and current_rows.group_text = new_rows.group_text
        where
            new_rows.effective_from <> current_rows.effective_from
            and new_rows.effective_from < coalesce(current_rows.effective_to, cast('9999-12-31' as date))
            and current_rows.effective_from < coalesce(new_rows.effective_to, cast('9999-12-31' as date))
            and (
                new_rows.content_text = current_rows.content_text
                {%- if terms.is_exclusive %}
                or new_rows.effective_from < current_rows.effective_from
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


{% macro corrections_of_terms(name, what) -%}
    {%- set terms = dated_extracts()[name] -%}
    {{ _delivered_terms(name) }}

    -- The newest extracted_at up to each load. Rows without extracted_at count as delivered at this time.
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

    versions_with_previous as (

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

    -- The first day on which the row differs from the previous row of its key.
    compared as (

        select
            versions_with_previous.*,
            case
                when versions_with_previous.is_first then null
                when
                    versions_with_previous.content_text <> versions_with_previous.earlier_content_text
                    or versions_with_previous.effective_from <> versions_with_previous.earlier_from
                    then least(versions_with_previous.effective_from, versions_with_previous.earlier_from)
                when
                    coalesce(versions_with_previous.effective_to, cast('9999-12-31' as date))
                    <> coalesce(versions_with_previous.earlier_to, cast('9999-12-31' as date))
                    then least(
                        coalesce(versions_with_previous.effective_to, cast('9999-12-31' as date)),
                        coalesce(versions_with_previous.earlier_to, cast('9999-12-31' as date))
                    )
            end as changed_from,
            case
                when earlier_listings.next_listed_at < versions_with_previous.listed_at
                    then {{ local_date('earlier_listings.next_listed_at') }}
            end as unlisted_on,
            {{ local_date('listings.previous_listed_at') }} as previous_listed_on
        from versions_with_previous
        left join listings on versions_with_previous.listed_at = listings.listed_at
        left join listings as earlier_listings on versions_with_previous.earlier_listed_at = earlier_listings.listed_at

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
