-- Every customer's months follow one upon the other and end with the current one.
with

neighbours as (

    select
        customer_id,
        usage_month,
        is_current_month,
        lead(usage_month) over (
            partition by customer_id order by usage_month
        ) as next_month
    from {{ ref('monthly_customer_usage') }}

)

select *
from neighbours
where
    next_month is distinct from case when not is_current_month then cast(usage_month + interval '1' month as date) end
