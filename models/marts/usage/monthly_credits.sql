with

term_credits as (

    select * from {{ ref('term_credits') }}

),

monthly_credits as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        cast(sum(quantity) as bigint) as quantity,
        cast(sum(billed_quantity) as bigint) as billed_quantity,
        cast(sum(unpriced_quantity) as bigint) as unpriced_quantity,
        cast(sum(credits) as decimal(38, 9)) as credits,
        bool_or(is_unpriced) as is_unpriced

    from term_credits
    group by usage_month, customer_id, metric, call_type

)

select * from monthly_credits
