{#- What is usual: docs/decisions/usage-changes.md. -#}

{#- An earlier period without usage has no row in `used`, and counts as 0. The factor makes the median of the absolute
    deviations comparable with a standard deviation. -#}
{% macro usual_ranges(compared, used) -%}
    with

    numbers as (
        {% for number in range(13) %}
            select {{ number }} as period_number
            {{ 'union all' if not loop.last }}
        {% endfor %}
    ),

    earlier as (

        select
            compared.customer_id,
            compared.metric,
            coalesce(used.quantity, 0) as quantity
        from {{ compared }} as compared
        inner join numbers on compared.compared_periods > numbers.period_number
        left join {{ used }} as used
            on
                compared.customer_id = used.customer_id
                and compared.metric = used.metric
                and numbers.period_number = used.period_number

    ),

    medians as (

        select
            customer_id,
            metric,
            percentile_cont(0.5) within group (order by quantity) as usual
        from earlier
        group by customer_id, metric

    ),

    variations as (

        select
            earlier.customer_id,
            earlier.metric,
            medians.usual,
            greatest(
                percentile_cont(0.5) within group (order by abs(earlier.quantity - medians.usual)) * 14826 / 10000,
                medians.usual / 20
            ) as variation
        from earlier
        inner join medians
            on
                earlier.customer_id = medians.customer_id
                and earlier.metric = medians.metric
        group by earlier.customer_id, earlier.metric, medians.usual

    )

    select
        customer_id,
        metric,
        usual,
        cast(greatest(floor(usual - {{ var('unusual_score') }} * variation), 0) as bigint) as usual_low,
        cast(ceil(usual + {{ var('unusual_score') }} * variation) as bigint) as usual_high
    from variations
{%- endmacro %}
