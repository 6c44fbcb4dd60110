{#- How usage is projected: docs/decisions/forecast.md, docs/forecasts.md. -#}

{#- Days by their age: 0 is the last full day. Weeks end on it, so position 0 is the first day of each of them, and the
    first day that is not known yet has position 0, too. -#}
{% macro aged_usage(daily, as_of) -%}
    select
        customer_id,
        metric,
        usage_date,
        quantity,
        age,
        cast(floor(age / 7) as bigint) as week,
        6 - age % 7 as position_in_week
    from (
        select
            daily.customer_id,
            daily.metric,
            daily.usage_date,
            daily.quantity,
            {{ dbt.datediff('daily.usage_date', 'as_of.last_full_date', 'day') }} as age
        from {{ daily }} as daily
        cross join {{ as_of }} as as_of
    ) as dated
{%- endmacro %}


{#- The last four weeks weigh 4, 3, 2 and 1, which is 10 together: `expected` and `spread` are tenths. Errors are
    millionths of the spread. -#}
{% macro forecasts(periods, daily, as_of) -%}
    {%- set weeks, past_cut_offs, least_errors, assumed_error = 20, 12, 30, 50000 -%}
    with

    usage_by_age as (

        {{ aged_usage(daily, as_of) }}

    ),

    series as (

        select
            customer_id,
            metric,
            max(age) + 1 as known_days,
            cast(sum(quantity) as bigint) as known_quantity
        from usage_by_age
        where age >= 0
        group by customer_id, metric

    ),

    open_periods as (

        select
            periods.customer_id,
            periods.metric,
            periods.period_from,
            periods.period_to,
            greatest({{ dbt.datediff('as_of.last_full_date', 'periods.period_to', 'day') }} - 1, 0) as remaining_days
        from {{ periods }} as periods
        cross join {{ as_of }} as as_of

    ),

    -- The remaining days are whole weeks and 1 to 7 days of a last one.
    horizons as (

        select
            remaining_days,
            whole_weeks,
            remaining_days - 7 * whole_weeks as days_of_last_week
        from (
            select distinct
                remaining_days,
                cast(ceil(remaining_days / 7) as bigint) - 1 as whole_weeks
            from open_periods
            where remaining_days > 0
        ) as remaining

    ),

    week_ends as (

        select
            {{ date_spine(
                "as_of.last_full_date - interval '" ~ (7 * weeks - 1) ~ "' day", 'as_of.last_full_date', 'day'
            ) }} as usage_date,
            as_of.last_full_date
        from {{ as_of }} as as_of

    ),

    week_numbers as (

        select distinct
            cast(floor({{ dbt.datediff('usage_date', 'last_full_date', 'day') }} / 7) as bigint) as week
        from week_ends

    ),

    -- A row for each week since the first usage, also for one without usage.
    weeks as (

        select
            series.customer_id,
            series.metric,
            week_numbers.week,
            {% for day in range(7) %}
                cast(coalesce(
                    sum(case when usage_by_age.position_in_week = {{ day }} then usage_by_age.quantity end), 0
                ) as bigint) as day_{{ day }}{{ ',' if not loop.last }}
            {% endfor %}

        from series
        inner join week_numbers on series.known_days >= 7 * week_numbers.week + 7
        left join usage_by_age
            on
                series.customer_id = usage_by_age.customer_id
                and series.metric = usage_by_age.metric
                and week_numbers.week = usage_by_age.week
        group by series.customer_id, series.metric, week_numbers.week

    ),

    -- For a cut-off at the end of each week: what the next week is expected to be, by the four weeks before it.
    weeks_before as (

        select
            customer_id,
            metric,
            week,
            {% for day in range(7) %}
                day_{{ day }},
                4 * day_{{ day }}
                + 3 * lead(day_{{ day }}, 1) over (partition by customer_id, metric order by week)
                + 2 * lead(day_{{ day }}, 2) over (partition by customer_id, metric order by week)
                + lead(day_{{ day }}, 3) over (partition by customer_id, metric order by week)
                    as expected_{{ day }},
            {% endfor %}
            {% for day in range(7) %}
                abs(day_{{ day }} - lead(day_{{ day }}, 1) over (partition by customer_id, metric order by week))
                {{ '+' if not loop.last }}
            {% endfor %}
                as change_of_week,
            cast(sum({% for day in range(7) %}day_{{ day }}{{ ' + ' if not loop.last }}{% endfor %}) over (
                partition by customer_id, metric order by week desc
            ) as bigint) as used_by_end
        from weeks

    ),

    cut_offs as (

        select
            *,
            change_of_week
            + lead(change_of_week, 1) over (partition by customer_id, metric order by week)
            + lead(change_of_week, 2) over (partition by customer_id, metric order by week)
                as weekly_change
        from weeks_before

    ),

    -- Now is the end of week 0. The others are the last ones of which the same number of days after them is known.
    expected as (

        select
            cut_offs.customer_id,
            cut_offs.metric,
            cut_offs.week,
            horizons.remaining_days,
            cut_offs.weekly_change,
            {% for day in range(7) %}
                cut_offs.expected_{{ day }}
                * (horizons.whole_weeks + case when {{ day }} < horizons.days_of_last_week then 1 else 0 end)
                {{ '+' if not loop.last }}
            {% endfor %}
                as expected,
            last_weeks.used_by_end
            {% for day in range(1, 7) %}
                - case when {{ day }} < horizons.days_of_last_week then 0 else last_weeks.day_{{ day }} end
            {% endfor %}
            - cut_offs.used_by_end as actual

        from cut_offs
        inner join horizons
            on
                cut_offs.week = 0
                or (
                    cut_offs.week > horizons.whole_weeks
                    and cut_offs.week <= horizons.whole_weeks + {{ past_cut_offs }}
                )
        left join weeks_before as last_weeks
            on
                cut_offs.customer_id = last_weeks.customer_id
                and cut_offs.metric = last_weeks.metric
                and cut_offs.week - 1 - horizons.whole_weeks = last_weeks.week

    ),

    -- The spread makes the errors of all customers comparable: of large and small ones, even and uneven ones.
    spread as (

        select
            *,
            10 * remaining_days * weekly_change + expected + 100 as spread
        from expected
        where expected > 0

    ),

    errors as (

        select
            remaining_days,
            error,
            row_number() over (partition by remaining_days order by error) as error_rank,
            count(*) over (partition by remaining_days) as errors
        from (
            select
                remaining_days,
                cast(floor(1000000 * (cast(10 * actual - expected as double) / cast(spread as double))) as bigint)
                    as error
            from spread
            where week > 0
        ) as past

    ),

    -- One error in ten is lower, half of them are, one in ten is higher.
    usual_errors as (

        select
            remaining_days,
            max(case when 10 * error_rank <= errors + 1 then error end) as low_error,
            min(case when 2 * error_rank >= errors + 1 then error end) as middle_error,
            min(case when 10 * error_rank >= 9 * (errors + 1) then error end) as high_error
        from errors
        where errors >= {{ least_errors }}
        group by remaining_days

    ),

    used as (

        select
            open_periods.customer_id,
            open_periods.metric,
            open_periods.period_from,
            open_periods.period_to,
            cast(sum(usage_by_age.quantity) as bigint) as used,
            cast(sum(case when usage_by_age.age >= 0 then usage_by_age.quantity else 0 end) as bigint)
                as used_on_full_days

        from open_periods
        inner join usage_by_age
            on
                open_periods.customer_id = usage_by_age.customer_id
                and open_periods.metric = usage_by_age.metric
                and open_periods.period_from <= usage_by_age.usage_date
        group by open_periods.customer_id, open_periods.metric, open_periods.period_from, open_periods.period_to

    ),

    -- What the remaining days will add, in tenths.
    remaining as (

        select
            open_periods.customer_id,
            open_periods.metric,
            open_periods.period_from,
            open_periods.period_to,
            open_periods.remaining_days,
            coalesce(used.used, 0) as used,
            coalesce(used.used_on_full_days, 0) as used_on_full_days,
            case
                when open_periods.remaining_days = 0 then 'known'
                when coalesce(series.known_days, 0) < 28 then 'daily_mean'
                when usual_errors.middle_error is null then 'weekday_mean_assumed'
                else 'weekday_mean'
            end as method,
            cast(coalesce(spread.expected, 0) as double) as expected,
            cast(coalesce(spread.spread, 0) as double) as spread,
            coalesce(usual_errors.low_error, -{{ assumed_error }}) as low_error,
            coalesce(usual_errors.middle_error, 0) as middle_error,
            coalesce(usual_errors.high_error, {{ assumed_error }}) as high_error,
            cast(10 * open_periods.remaining_days * coalesce(series.known_quantity, 0) as double)
            / coalesce(series.known_days, 1) as daily_mean

        from open_periods
        left join used
            on
                open_periods.customer_id = used.customer_id
                and open_periods.metric = used.metric
                and open_periods.period_from = used.period_from
                and open_periods.period_to = used.period_to
        left join series
            on
                open_periods.customer_id = series.customer_id
                and open_periods.metric = series.metric
        left join spread
            on
                open_periods.customer_id = spread.customer_id
                and open_periods.metric = spread.metric
                and open_periods.remaining_days = spread.remaining_days
                and spread.week = 0
        left join usual_errors on open_periods.remaining_days = usual_errors.remaining_days

    ),

    projected as (

        select
            *,
            case method
                when 'known' then 0
                when 'daily_mean' then daily_mean
                else expected + middle_error * spread / 1000000
            end as middle,
            case method
                when 'known' then 0
                when 'daily_mean' then daily_mean * 2 / 3
                else expected + low_error * spread / 1000000
            end as low,
            case method
                when 'known' then 0
                when 'daily_mean' then daily_mean * 2
                else expected + high_error * spread / 1000000
            end as high
        from remaining

    )

    select
        customer_id,
        metric,
        period_from,
        period_to,
        remaining_days,
        method,
        used,
        used_on_full_days,
        greatest(used, used_on_full_days + cast(floor((middle + 5) / 10) as bigint)) as projected,
        greatest(used, used_on_full_days + cast(floor(low / 10) as bigint)) as projected_low,
        greatest(used, used_on_full_days + cast(ceil(high / 10) as bigint)) as projected_high
    from projected
{%- endmacro %}


{#- The projection spread over the remaining days, as the same weekdays were used. -#}
{% macro projected_days(forecasts, daily, as_of) -%}
    with

    usage_by_age as (

        {{ aged_usage(daily, as_of) }}

    ),

    weekdays as (

        select
            customer_id,
            metric,
            position_in_week,
            cast(sum((4 - week) * quantity) as bigint) as expected
        from usage_by_age
        where age between 0 and 27
        group by customer_id, metric, position_in_week

    ),

    remaining as (

        select
            forecasts.customer_id,
            forecasts.metric,
            forecasts.period_from,
            forecasts.method,
            forecasts.used,
            forecasts.used_on_full_days,
            forecasts.projected,
            as_of.last_full_date,
            {{ date_spine(
                "as_of.last_full_date + interval '1' day", "forecasts.period_to - interval '1' day", 'day'
            ) }} as usage_date
        from {{ forecasts }} as forecasts
        cross join {{ as_of }} as as_of
        where forecasts.remaining_days > 0

    ),

    weighted as (

        select
            remaining.*,
            case
                when remaining.method = 'daily_mean' then cast(1 as bigint)
                else coalesce(weekdays.expected, 0)
            end as weight
        from remaining
        left join weekdays
            on
                remaining.customer_id = weekdays.customer_id
                and remaining.metric = weekdays.metric
                and ({{ dbt.datediff('remaining.last_full_date', 'remaining.usage_date', 'day') }} - 1) % 7
                = weekdays.position_in_week

    ),

    added_up as (

        select
            *,
            cast(sum(weight) over (
                partition by customer_id, metric, period_from order by usage_date
            ) as double) as weight_so_far,
            cast(sum(weight) over (partition by customer_id, metric, period_from) as double) as whole_weight
        from weighted

    )

    select
        customer_id,
        metric,
        period_from,
        usage_date,
        greatest(
            used,
            used_on_full_days + cast(floor(
                (projected - used_on_full_days) * coalesce(weight_so_far / nullif(whole_weight, 0), 1) + 0.5
            ) as bigint)
        ) as projected_by_then
    from added_up
{%- endmacro %}
