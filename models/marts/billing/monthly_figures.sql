with

usage as (

    select * from {{ ref('daily_customer_usage') }}
    where is_in_month_figure

),

monthly_credits as (

    select * from {{ ref('monthly_credits') }}

),

figures as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        quantity
    from usage

    union all

    select
        usage_month,
        customer_id,
        'credits' as metric,
        cast(null as string) as call_type,
        credits as quantity
    from monthly_credits

),

monthly_figures as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        cast(sum(quantity) as decimal(38, 9)) as quantity
    from figures
    group by usage_month, customer_id, metric, call_type
    having sum(quantity) <> 0

)

select * from monthly_figures
