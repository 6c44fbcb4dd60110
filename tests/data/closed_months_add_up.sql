-- The figure at the close and all restatements are the current figure, for every customer, metric and call type. A
-- figure that was 0 at the close and is 0 now has no row there.
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

),

terms as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        quantity - known_quantity as quantity
    from {{ ref('closed_month_figures') }}

    union all

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        -quantity as quantity
    from restated

)

select
    usage_month,
    customer_id,
    metric,
    call_type
from terms
group by usage_month, customer_id, metric, call_type
having sum(quantity) <> 0
