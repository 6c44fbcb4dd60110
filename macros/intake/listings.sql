{#- Ranks only repeated rows, because most listings have none and may have millions of rows. Reads relations instead of
    a CTE, because DuckDB materializes a CTE that is read more than once. -#}
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
        {{ is_admin_account('customer_id') }} as is_admin,
        listed_at as extracted_at,
        listed_at = newest_listing_at as is_current
    from distinct_rows
    inner join newest using ({{ entity }})
{%- endmacro %}
