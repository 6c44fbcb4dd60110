{{ replaces('month') }}
{% set metrics = usage_metrics() %}

with

units as (

    select
        *,
        cast(date_trunc('month', usage_date) as date) as usage_month,
        {{ local_date('extracted_at') }} as arrived_on
    from {{ ref('dated_units') }}
    where {{ in_affected('date_of_month') }}

),

monthly_arrivals as (

    select
        usage_month,
        {% for metric in metrics %}
            cast(sum({{ metric }}) as bigint) as {{ metric }},
        {% endfor %}
        arrived_on
    from units
    group by usage_month, arrived_on

)

select * from monthly_arrivals
