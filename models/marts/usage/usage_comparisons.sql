{{ config(meta={'is_never_kept': true}) }}

with

daily_customer_usage as (

    select * from {{ ref('daily_customer_usage') }}

),

metrics as (

    select * from {{ ref('effective_metrics') }}

),

as_of as (

    select
        as_of_date,
        cast(date_trunc('week', cast(last_full_date + interval '1' day as date)) as date) as week_to
    from {{ ref('as_of') }}

),

daily as (

    {{ usage_by_day('daily_customer_usage', 'metrics', 'as_of') }}

),

series as (

    select
        customer_id,
        metric,
        min(usage_date) as first_used_on,
        max(usage_date) as last_used_on,
        max(max(usage_date)) over (partition by customer_id) as customer_last_used_on
    from daily
    where month_aggregation = 'sum'
    group by customer_id, metric

),

states as (

    select
        series.*,
        as_of.as_of_date,
        as_of.week_to,
        series.customer_last_used_on <= cast(as_of.as_of_date - interval '14' day as date) as is_quiet
    from series
    cross join as_of

),

-- The last full week; of a customer without any usage for 14 days these days, and its metrics of the four weeks before.
periods as (

    select
        customer_id,
        metric,
        first_used_on,
        last_used_on,
        is_quiet,
        case
            when is_quiet then cast(as_of_date - interval '13' day as date)
            else cast(week_to - interval '7' day as date)
        end as period_from,
        case when is_quiet then cast(as_of_date + interval '1' day as date) else week_to end as period_to,
        case
            when is_quiet then cast(customer_last_used_on + interval '1' day as date)
            else cast(week_to - interval '7' day as date)
        end as compared_to,
        case when is_quiet then 14 else 7 end as length_in_days,
        case when is_quiet then 6 else 13 end as most_periods
    from states
    where
        last_used_on >= case
            when is_quiet then cast(customer_last_used_on - interval '27' day as date)
            else cast(week_to - interval '98' day as date)
        end

),

known as (

    select
        *,
        {{ dbt.datediff('first_used_on', 'compared_to', 'day') }}
            as known_days
    from periods

),

-- Earlier periods are as long, so they have the same weekdays. The first one begins after the first usage.
compared as (

    select
        *,
        least(most_periods, cast(floor(known_days / length_in_days) as bigint)) as compared_periods
    from known

),

dated as (

    select
        compared.customer_id,
        compared.metric,
        compared.length_in_days,
        compared.period_from <= daily.usage_date as is_in_period,
        {{ dbt.datediff('daily.usage_date', 'compared.compared_to', 'day') }}
            as days_before,
        daily.quantity
    from compared
    inner join daily
        on
            compared.customer_id = daily.customer_id
            and compared.metric = daily.metric
            and compared.period_to > daily.usage_date

),

-- Number 0 is the latest of the earlier periods; the compared period has none.
numbered as (

    select
        customer_id,
        metric,
        quantity,
        case when not is_in_period then cast(floor((days_before - 1) / length_in_days) as bigint) end as period_number
    from dated

),

used as (

    select
        customer_id,
        metric,
        period_number,
        cast(sum(quantity) as bigint) as quantity
    from numbered
    group by customer_id, metric, period_number

),

-- Fewer than eight weeks do not say what is usual.
well_known as (

    select * from compared
    where compared_periods * length_in_days >= 56

),

usual_ranges as (

    {{ usual_ranges('well_known', 'used') }}

),

usage_comparisons as (

    select
        compared.customer_id,
        compared.metric,
        case
            when compared.is_quiet then 'went_quiet'
            when abs(coalesce(used.quantity, 0) - usual_ranges.usual) < {{ var('unusual_floor') }} then null
            when coalesce(used.quantity, 0) > usual_ranges.usual_high then 'jumped'
            when coalesce(used.quantity, 0) < usual_ranges.usual_low then 'dropped'
        end as change,
        compared.period_from,
        compared.period_to,
        coalesce(used.quantity, 0) as quantity,
        usual_ranges.usual_low,
        usual_ranges.usual_high,
        compared.compared_to,
        greatest(compared.compared_periods, 2) as compared_periods,
        compared.last_used_on

    from compared
    left join usual_ranges
        on
            compared.customer_id = usual_ranges.customer_id
            and compared.metric = usual_ranges.metric
    left join used
        on
            compared.customer_id = used.customer_id
            and compared.metric = used.metric
            and used.period_number is null
    where
        compared.is_quiet
        or usual_ranges.usual is not null

)

select * from usage_comparisons
