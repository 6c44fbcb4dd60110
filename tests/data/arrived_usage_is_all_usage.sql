-- What has arrived of a month by the last day is the usage of all customers in it.
{% set metrics = usage_metrics() %}

with

months as (

    select * from {{ ref('monthly_customer_usage') }}

),

used as (
    {% for metric in metrics %}
        select
            usage_month,
            '{{ metric }}' as metric,
            sum({{ metric }}) as quantity
        from months
        group by usage_month
        having sum({{ metric }}) > 0
        {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

arrived as (

    select
        usage_month,
        metric,
        max(quantity) as quantity
    from {{ ref('usage_arrival') }}
    group by usage_month, metric

)

select
    used.quantity as used_quantity,
    arrived.quantity as arrived_quantity,
    coalesce(used.usage_month, arrived.usage_month) as usage_month,
    coalesce(used.metric, arrived.metric) as metric
from used
full outer join arrived
    on
        used.usage_month = arrived.usage_month
        and used.metric = arrived.metric
where used.quantity is distinct from arrived.quantity
