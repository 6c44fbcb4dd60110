-- The figure at the close and all restatements are the current figure, for every customer, metric and call type.
with

restated as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        sum(restated_quantity - retracted_quantity) as quantity
    from {{ ref('usage_restatements') }}
    where run_id = {{ literal(invocation_id) }}
    group by usage_month, customer_id, metric, call_type

)

select
    figures.usage_month,
    figures.customer_id,
    figures.metric,
    figures.call_type
from {{ ref('closed_month_figures') }} as figures
left join restated
    on
        figures.usage_month = restated.usage_month
        and figures.customer_id = restated.customer_id
        and figures.metric = restated.metric
        and figures.call_type is not distinct from restated.call_type
where figures.known_quantity + coalesce(restated.quantity, 0) <> figures.quantity
