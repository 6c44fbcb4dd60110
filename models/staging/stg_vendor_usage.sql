{% set metrics = reported_metrics() %}

with

reports as (

    select
        *,
        {{ tiebreak_text(metrics) }} as row_text
    from {{ ref('base_vendor_usage') }}
    where quarantine_reason is null

),

-- A report has a figure for some metrics.
figures as (
    {% for metric in metrics %}
        select
            customer_id,
            usage_month,
            '{{ metric }}' as metric,
            {{ metric }} as quantity,
            extracted_at,
            row_text
        from reports
        where {{ metric }} is not null
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

-- The latest report of a figure wins; of two with the same time, the greater row as text.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, usage_month, metric order by extracted_at desc, row_text desc
        ) as report_rank,
        min(quantity) over (partition by customer_id, usage_month, metric) as smallest_quantity,
        max(quantity) over (partition by customer_id, usage_month, metric) as greatest_quantity
    from figures

),

stg_vendor_usage as (

    select
        customer_id,
        usage_month,
        metric,
        quantity,
        extracted_at,
        smallest_quantity <> greatest_quantity as is_contradicted

    from ranked
    where report_rank = 1

)

select * from stg_vendor_usage
