{{ replaces('load') }}
{% set plain = [
    'customers', 'recipes', 'connections', 'api_collections', 'seats', 'subscriptions', 'credit_ratios',
    'recommended_recipes', 'vendor_usage',
] %}
{% set undated = ['recommended_recipes'] %}

with

counted as (
    {% for extract in plain %}
        select
            '{{ extract }}' as extract_name,
            load_id,
            count(*) as rows_usable,
            0 as rows_quarantined,
            0 as rows_erased,
            0 as rows_ignored,
            {{ 'cast(null as timestamp)' if extract in undated else 'max(extracted_at)' }} as newest_extracted_at
        from {{ ref('base_' ~ extract) }}
        where quarantine_reason is null
        group by load_id

        union all
    {% endfor %}
    {% for index in ['delivered_jobs', 'delivered_requests'] %}
        select
            extract_name,
            load_id,
            count(*) as rows_usable,
            0 as rows_quarantined,
            0 as rows_erased,
            0 as rows_ignored,
            max(extracted_at) as newest_extracted_at
        from {{ ref(index) }}
        group by extract_name, load_id

        union all
    {% endfor %}
    select
        extract_name,
        load_id,
        sum(steps) as rows_usable,
        0 as rows_quarantined,
        0 as rows_erased,
        0 as rows_ignored,
        max(newest_extracted_at) as newest_extracted_at
    from {{ ref('delivered_steps') }}
    group by extract_name, load_id

    union all

    select
        extract_name,
        load_id,
        0 as rows_usable,
        count(*) filter (where not {{ is_erased_reason('reason') }}) as rows_quarantined,
        count(*) filter (where {{ is_erased_reason('reason') }}) as rows_erased,
        0 as rows_ignored,
        -- An erased row keeps its time, so that the as-of date stays.
        max(case when reason = '{{ erased_reasons()[0] }}' then extracted_at end) as newest_extracted_at
    from {{ ref('rejected_rows') }}
    group by extract_name, load_id

    union all

    select
        'job_history' as extract_name,
        load_id,
        0 as rows_usable,
        0 as rows_quarantined,
        0 as rows_erased,
        count(*) as rows_ignored,
        cast(null as timestamp) as newest_extracted_at
    from {{ ref('base_streamed_events') }}
    where event_kind = 'other'
    group by load_id

),

delivery_totals as (

    select
        extract_name,
        load_id,
        cast(sum(rows_usable + rows_quarantined + rows_erased + rows_ignored) as bigint) as rows_read,
        cast(sum(rows_quarantined) as bigint) as rows_quarantined,
        cast(sum(rows_erased) as bigint) as rows_erased,
        cast(sum(rows_ignored) as bigint) as rows_ignored,
        max(newest_extracted_at) as newest_extracted_at
    from counted
    group by extract_name, load_id

)

select * from delivery_totals
