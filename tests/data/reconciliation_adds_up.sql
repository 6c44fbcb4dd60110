-- The causes of a figure add up to ours minus the vendor's, and ours is the customer's figure of the month.
with

explained as (

    select
        usage_month,
        customer_id,
        metric,
        our_quantity,
        vendor_quantity,
        sum(quantity) as quantity
    from {{ ref('usage_reconciliation') }}
    group by usage_month, customer_id, metric, our_quantity, vendor_quantity

),

months as (

    select * from {{ ref('monthly_customer_usage') }}

),

figures as (
    {% for metric in reported_metrics() %}
        select
            usage_month,
            customer_id,
            '{{ metric }}' as metric,
            {{ metric }} as quantity
        from months
        {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    explained.*,
    figures.quantity as quantity_in_mart
from explained
left join figures
    on
        explained.usage_month = figures.usage_month
        and explained.customer_id = figures.customer_id
        and explained.metric = figures.metric
where
    explained.quantity <> explained.our_quantity - explained.vendor_quantity
    or explained.our_quantity <> coalesce(figures.quantity, 0)
