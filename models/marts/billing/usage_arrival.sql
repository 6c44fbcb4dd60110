{% set metrics = usage_metrics() %}

with

days as (

    select
        *,
        cast(date_trunc('month', usage_date) as date) as usage_month
    from {{ ref('daily_units') }}

),

arrivals as (

    select
        usage_month,
        {% for metric in metrics %}
            sum({{ metric }}) as {{ metric }},
        {% endfor %}
        arrived_on
    from days
    group by usage_month, arrived_on

),

days_after as (

    select
        *,
        {{ dbt.datediff("cast(usage_month + interval '1' month - interval '1' day as date)", 'arrived_on', 'day') }}
            as days_after_last_day
    from arrivals

),

by_metric as (
    {% for metric in metrics %}
        select
            usage_month,
            '{{ metric }}' as metric,
            greatest(days_after_last_day, 0) as days_after_month_end,
            {{ metric }} as quantity
        from days_after
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

by_day as (

    select
        usage_month,
        metric,
        days_after_month_end,
        sum(quantity) as quantity
    from by_metric
    group by usage_month, metric, days_after_month_end
    having sum(quantity) > 0

),

accumulated as (

    select
        usage_month,
        metric,
        days_after_month_end,
        sum(quantity) over (partition by usage_month, metric order by days_after_month_end) as quantity,
        sum(quantity) over (partition by usage_month, metric) as quantity_of_month
    from by_day

),

usage_arrival as (

    select
        usage_month,
        metric,
        cast(days_after_month_end as bigint) as days_after_month_end,
        cast(quantity as bigint) as quantity,
        {{ ratio('quantity', 'quantity_of_month') }} as share_arrived
    from accumulated

)

select * from usage_arrival
