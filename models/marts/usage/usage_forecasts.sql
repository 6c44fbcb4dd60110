with

daily_customer_usage as (

    select * from {{ ref('daily_customer_usage') }}

),

metrics as (

    select * from {{ ref('effective_metrics') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

daily as (

    {{ usage_by_day('daily_customer_usage', 'metrics', 'as_of') }}

),

flows as (

    select * from daily
    where month_aggregation = 'sum'

),

-- The current month, and each customer's current billing period.
current_periods as (

    select distinct
        daily.customer_id,
        'month' as horizon,
        as_of.as_of_month as period_from,
        cast(as_of.as_of_month + interval '1' month as date) as period_to
    from daily
    cross join as_of

    union all

    select
        periods.customer_id,
        'period' as horizon,
        periods.period_from,
        periods.period_to
    from {{ ref('contract_periods') }} as periods
    cross join as_of
    where {{ is_in_period('periods', 'as_of.as_of_date') }}

),

-- What was used in the period or in the last four weeks.
used_lately as (

    select distinct
        flows.customer_id,
        flows.metric,
        current_periods.horizon,
        current_periods.period_from,
        current_periods.period_to
    from flows
    inner join current_periods on flows.customer_id = current_periods.customer_id
    cross join as_of
    where
        flows.usage_date
        >= least(current_periods.period_from, cast(as_of.last_full_date - interval '27' day as date))

),

-- A month and a billing period may be the same days.
periods as (

    select distinct
        customer_id,
        metric,
        period_from,
        period_to
    from used_lately

),

forecasts as (

    {{ forecasts('periods', 'flows', 'as_of') }}

),

-- A level does not add up, and changes by orders only: the peak so far.
levels as (

    select
        daily.customer_id,
        daily.metric,
        current_periods.horizon,
        current_periods.period_from,
        current_periods.period_to,
        max(daily.quantity) as peak
    from daily
    inner join current_periods
        on
            daily.customer_id = current_periods.customer_id
            and daily.usage_date >= current_periods.period_from
    where daily.month_aggregation = 'peak'
    group by
        daily.customer_id, daily.metric, current_periods.horizon, current_periods.period_from,
        current_periods.period_to

),

usage_forecasts as (

    select
        used_lately.customer_id,
        used_lately.horizon,
        used_lately.period_from,
        used_lately.period_to,
        used_lately.metric,
        forecasts.used,
        forecasts.projected,
        forecasts.projected_low,
        forecasts.projected_high,
        forecasts.method

    from used_lately
    inner join forecasts
        on
            used_lately.customer_id = forecasts.customer_id
            and used_lately.metric = forecasts.metric
            and used_lately.period_from = forecasts.period_from
            and used_lately.period_to = forecasts.period_to

    union all

    select
        customer_id,
        horizon,
        period_from,
        period_to,
        metric,
        peak as used,
        peak as projected,
        peak as projected_low,
        peak as projected_high,
        'level' as method
    from levels

)

select * from usage_forecasts
