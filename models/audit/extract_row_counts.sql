{#- extract: [the staging model that holds what is used, the models's key] -#}
{% set plain = {
    'customers': ['customer_id', 'extracted_at'],
    'recipes': ['customer_id', 'recipe_id', 'extracted_at'],
    'connections': ['customer_id', 'connection_id', 'extracted_at'],
    'api_requests': ['customer_id', 'request_id'],
    'api_collections': ['customer_id', 'api_collection_id', 'extracted_at'],
    'event_stream_requests': ['customer_id', 'request_id'],
    'genie_prompts': ['customer_id', 'prompt_id'],
    'seats': ['customer_id', 'seat_order_id'],
    'subscriptions': ['customer_id', 'effective_from'],
    'credit_ratios': ['metric', 'call_type', 'effective_from'],
    'recommended_recipes': ['recipe_id'],
    'vendor_usage': ['customer_id', 'usage_month'],
} %}
{% set of_jobs = ['jobs', 'job_history', 'steps', 'job_history_lines'] %}

with

delivered as (
    {% for extract in plain.keys() | list + of_jobs %}
        select
            '{{ extract }}' as extract_name,
            count(*) as rows_read
        from {{ ref('base_' ~ extract) }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

quarantined_parts as (

    {% for extract in plain.keys() | list + of_jobs %}
        select
            '{{ extract }}' as extract_name,
            count(*) as rows_quarantined
        from {{ ref('base_' ~ extract) }}
        where quarantine_reason is not null

        union all
    {% endfor %}
    select
        'steps' as extract_name,
        count(*) as rows_quarantined
    from {{ ref('quarantined_rows') }}
    where reason = 'step without job'

),

quarantined as (

    select
        extract_name,
        sum(rows_quarantined) as rows_quarantined
    from quarantined_parts
    group by extract_name

),

-- Rows of one key beyond the first.
repeated as (
    {% for extract, key in plain.items() %}
        select
            '{{ extract }}' as extract_name,
            coalesce(sum(key_rows - 1), 0) as rows_repeated
        from (
            select count(*) as key_rows
            from {{ ref('base_' ~ extract) }}
            where quarantine_reason is null
            group by {{ key | join(', ') }}
        ) as keyed

        union all
    {% endfor %}
    select
        extract_name,
        count(*) as rows_repeated
    from {{ ref('repeated_jobs') }}
    where not is_latest
    group by extract_name

    union all

    select
        extract_name,
        count(*) as rows_repeated
    from {{ ref('repeated_steps') }}
    where not is_latest
    group by extract_name

),

-- What the staging models hold. Jobs and steps come from two extracts each and are used together.
used as (
    {% for extract in plain %}
        select
            '{{ extract }}' as extract_name,
            count(*) as rows_used
        from {{ ref('stg_' ~ extract) }}

        union all
    {% endfor %}
    select
        'jobs' as extract_name,
        count(*) as rows_used
    from {{ ref('stg_jobs') }}

    union all

    select
        'steps' as extract_name,
        count(*) as rows_used
    from {{ ref('stg_steps') }}

),

-- The streamed job files stand beside the flat extracts that they feed.
counted as (

    select
        delivered.rows_read,
        case delivered.extract_name
            when 'job_history' then 'jobs'
            when 'job_history_lines' then 'steps'
            else delivered.extract_name
        end as extract_name,
        coalesce(repeated.rows_repeated, 0) as rows_repeated,
        coalesce(quarantined.rows_quarantined, 0) as rows_quarantined

    from delivered
    left join repeated on delivered.extract_name = repeated.extract_name
    left join quarantined on delivered.extract_name = quarantined.extract_name

),

extract_row_counts as (

    select
        counted.extract_name,
        cast(sum(counted.rows_read) as bigint) as rows_read,
        cast(max(used.rows_used) as bigint) as rows_used,
        cast(sum(counted.rows_repeated) as bigint) as rows_repeated,
        cast(sum(counted.rows_quarantined) as bigint) as rows_quarantined

    from counted
    inner join used on counted.extract_name = used.extract_name
    group by counted.extract_name

)

select * from extract_row_counts
