{{ config(materialized='incremental', incremental_strategy='by_load') }}
{% set plain = [
    'customers', 'recipes', 'connections', 'api_collections', 'seats', 'subscriptions', 'credit_ratios',
    'recommended_recipes', 'vendor_usage',
] %}
{% set undated = ['recommended_recipes'] %}

with

usable as (
    {% for extract in plain %}
        select
            '{{ extract }}' as extract_name,
            load_id,
            count(*) as rows_usable,
            {{ 'cast(null as timestamp)' if extract in undated else 'max(extracted_at)' }} as newest_extracted_at
        from {{ ref('base_' ~ extract) }}
        where
            quarantine_reason is null
            and {{ is_new_load() }}
        group by load_id

        union all
    {% endfor %}
    {% for index in ['delivered_jobs', 'delivered_requests'] %}
        select
            extract_name,
            load_id,
            count(*) as rows_usable,
            max(extracted_at) as newest_extracted_at
        from {{ ref(index) }}
        where {{ is_new_load() }}
        group by extract_name, load_id

        union all
    {% endfor %}
    select
        extract_name,
        load_id,
        cast(sum(steps) as bigint) as rows_usable,
        max(newest_extracted_at) as newest_extracted_at
    from {{ ref('delivered_steps') }}
    where {{ is_new_load() }}
    group by extract_name, load_id

),

quarantined as (

    select
        extract_name,
        load_id,
        count(*) as rows_quarantined
    from {{ ref('rejected_rows') }}
    where {{ is_new_load() }}
    group by extract_name, load_id

),

delivery_totals as (

    select
        usable.newest_extracted_at,
        coalesce(usable.extract_name, quarantined.extract_name) as extract_name,
        coalesce(usable.load_id, quarantined.load_id) as load_id,
        coalesce(usable.rows_usable, 0) + coalesce(quarantined.rows_quarantined, 0) as rows_read,
        coalesce(quarantined.rows_quarantined, 0) as rows_quarantined
    from usable
    full outer join quarantined
        on
            usable.extract_name = quarantined.extract_name
            and usable.load_id = quarantined.load_id

)

select * from delivery_totals
