{#- For the extracts that every run reads completely: the key of a row, for full listings within a listing. -#}
{% set keys = {
    'customers': ['customer_id', 'listed_at'],
    'recipes': ['customer_id', 'recipe_id', 'listed_at'],
    'connections': ['customer_id', 'connection_id', 'listed_at'],
    'api_collections': ['customer_id', 'api_collection_id', 'listed_at'],
    'seats': ['customer_id', 'seat_order_id'],
    'subscriptions': ['customer_id', 'effective_from'],
    'credit_ratios': ['customer_id', 'terms', 'metric', 'call_type', 'effective_from'],
    'recommended_recipes': ['recipe_id'],
    'vendor_usage': ['customer_id', 'usage_month'],
} %}
{% set nothing_else = '0 as rows_quarantined, 0 as rows_erased, 0 as rows_ignored' %}
{% set requests = ['api_requests', 'event_stream_requests', 'genie_prompts'] %}

with

-- Rows of superseded files. They are not read again: the files that continue these repeat their rows.
superseded as (

    select
        file_rows as rows_read,
        case when extract_name = 'job_history' then 'jobs' else extract_name end as extract_name
    from {{ source('run_state', 'superseded_files') }}

),

-- Streamed jobs and their lines count as jobs and steps. An extract without deliveries has a row, too.
delivered as (

    select
        case extract_name
            when 'job_history' then 'jobs'
            when 'job_history_lines' then 'steps'
            else extract_name
        end as extract_name,
        rows_read,
        rows_quarantined,
        rows_erased,
        rows_ignored
    from {{ ref('delivery_totals') }}

    union all

    select
        extract_name,
        rows_read,
        {{ nothing_else }}
    from superseded

    union all

    select
        'steps' as extract_name,
        0 as rows_read,
        count(*) as rows_quarantined,
        0 as rows_erased,
        0 as rows_ignored
    from {{ ref('stg_steps_without_job') }}
    {% for extract in keys.keys() | list + requests + ['jobs'] %}
        union all

        select
            '{{ extract }}' as extract_name,
            0 as rows_read,
            {{ nothing_else }}
    {% endfor %}

),

delivered_by_extract as (

    select
        extract_name,
        sum(rows_read) as rows_read,
        sum(rows_quarantined) as rows_quarantined,
        sum(rows_erased) as rows_erased,
        sum(rows_ignored) as rows_ignored
    from delivered
    group by extract_name

),

-- Rows of one key beyond the first.
repeated_by_extract as (
    {% for extract, key in keys.items() %}
        select
            '{{ extract }}' as extract_name,
            coalesce(sum(key_rows - 1), 0) as rows_repeated
        from (
            select count(*) as key_rows
            from {{ ref('base_' ~ extract) }} as delivered
            {% if 'listed_at' in key -%}
                inner join {{ ref('listing_times') }} as times
                    on
                        delivered.extracted_at = times.extracted_at
                        and times.extract_name = '{{ extract }}'
            {% endif -%}
            where delivered.quarantine_reason is null
            group by {{ key | join(', ') }}
        ) as keyed

        union all
    {% endfor %}
    select
        extract_name,
        count(*) - count(distinct request_hash) as rows_repeated
    from {{ ref('delivered_requests') }}
    group by extract_name

    {% for units in ['jobs', 'steps'] %}
        union all

        select
            '{{ units }}' as extract_name,
            count(*) as rows_repeated
        from {{ ref('repeated_' ~ units) }}
        where not is_winning_delivery
    {% endfor %}

    union all

    select
        extract_name,
        rows_read as rows_repeated
    from superseded

),

repeated as (

    select
        extract_name,
        sum(rows_repeated) as rows_repeated
    from repeated_by_extract
    group by extract_name

),

used as (
    {% for extract, key in keys.items() %}
        select
            '{{ extract }}' as extract_name,
            count(*) as rows_used
        {% if extract == 'vendor_usage' -%}
            {#- a report has a row of staging for each of its figures -#}
            from (
                select distinct {{ key | join(', ') }} from {{ ref('base_vendor_usage') }}
                where quarantine_reason is null
            ) as reports
        {%- else -%}
            from {{ ref('stg_' ~ extract) }}
        {%- endif %}

        union all
    {% endfor %}
    select
        extract_name,
        count(*) as rows_used
    from {{ ref('metered_requests') }}
    group by extract_name

    union all

    select
        'jobs' as extract_name,
        count(*) as rows_used
    from {{ ref('metered_jobs') }}

    union all

    select
        'steps' as extract_name,
        count(*) as rows_used
    from {{ ref('step_facts') }}

),

extract_row_counts as (

    select
        delivered_by_extract.extract_name,
        cast(delivered_by_extract.rows_read as bigint) as rows_read,
        cast(coalesce(used.rows_used, 0) as bigint) as rows_used,
        cast(coalesce(repeated.rows_repeated, 0) as bigint) as rows_repeated,
        cast(delivered_by_extract.rows_quarantined as bigint) as rows_quarantined,
        cast(delivered_by_extract.rows_erased as bigint) as rows_erased,
        cast(delivered_by_extract.rows_ignored as bigint) as rows_ignored

    from delivered_by_extract
    left join used on delivered_by_extract.extract_name = used.extract_name
    left join repeated on delivered_by_extract.extract_name = repeated.extract_name

)

select * from extract_row_counts
