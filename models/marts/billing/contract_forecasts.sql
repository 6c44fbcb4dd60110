with

as_of as (

    select * from {{ ref('as_of') }}

),

current_periods as (

    select
        periods.customer_id,
        'used' as metric,
        periods.term_from,
        periods.period_from,
        periods.period_to,
        periods.measure,
        periods.allowance_per,
        periods.allowance
    from {{ ref('contract_periods') }} as periods
    cross join as_of
    where {{ is_in_period('periods', 'as_of.as_of_date') }}

),

levels as (

    select distinct metric
    from {{ ref('effective_metrics') }}
    where month_aggregation = 'peak'

),

-- Whole tasks, or thousandths of credits, of what adds up. Usage under other terms is comparable if its measure is.
flows as (

    select
        current_periods.customer_id,
        current_periods.metric,
        credits.usage_date,
        cast(
            case
                when current_periods.measure = 'tasks' then sum(credits.quantity_added)
                else {{ whole_quotient(nanos('sum(credits.credits_added)'), '1000000') }}
            end as bigint
        ) as quantity

    from {{ ref('daily_contract_credits') }} as credits
    inner join current_periods
        on
            credits.customer_id = current_periods.customer_id
            and credits.measure = current_periods.measure
    left join levels on credits.metric = levels.metric
    where levels.metric is null
    group by current_periods.customer_id, current_periods.metric, current_periods.measure, credits.usage_date

),

forecasts as (

    {{ forecasts('current_periods', 'flows', 'as_of') }}

),

forecast_days as (

    {{ projected_days('forecasts', 'flows', 'as_of') }}

),

-- All that is billed so far, seats too, which stay as they are.
used as (

    select
        current_periods.customer_id,
        sum(
            case when totals.period_from = current_periods.period_from then totals.used_added else 0 end
        ) as used,
        sum(totals.used_added) as used_of_allowance

    from current_periods
    inner join {{ ref('daily_contract_totals') }} as totals
        on
            current_periods.customer_id = totals.customer_id
            and (
                current_periods.period_from = totals.period_from
                or (
                    current_periods.allowance_per = 'term'
                    and current_periods.term_from is not distinct from totals.term_from
                )
            )
    group by current_periods.customer_id

),

measured as (

    select
        current_periods.customer_id,
        current_periods.period_from,
        current_periods.allowance,
        forecasts.method,
        {{ amount('coalesce(used.used, 0)') }} as used,
        {{ amount('coalesce(used.used_of_allowance, 0)') }} as used_of_allowance,
        forecasts.used as used_of_flows,
        forecasts.projected - forecasts.used as added,
        forecasts.projected_low - forecasts.used as added_low,
        forecasts.projected_high - forecasts.used as added_high,
        cast(
            case when current_periods.measure = 'tasks' then 1000000000 else 1000000 end as decimal(10, 0)
        ) as nanos_per_unit

    from current_periods
    inner join forecasts on current_periods.customer_id = forecasts.customer_id
    left join used on current_periods.customer_id = used.customer_id

),

exceeding as (

    select
        measured.customer_id,
        min(forecast_days.usage_date) as exceeds_on

    from measured
    inner join forecast_days on measured.customer_id = forecast_days.customer_id
    where
        measured.used_of_allowance
        + {{ amount(
            from_nanos('(forecast_days.projected_by_then - measured.used_of_flows) * measured.nanos_per_unit')
        ) }}
        > measured.allowance
    group by measured.customer_id

),

contract_forecasts as (

    select
        measured.customer_id,
        measured.period_from,
        {% for end, added in [('used', 'added'), ('low', 'added_low'), ('high', 'added_high')] %}
            cast(
                measured.used + {{ amount(from_nanos('measured.' ~ added ~ ' * measured.nanos_per_unit')) }}
                as decimal(38, 9)
            ) as projected_{{ end }},
        {% endfor %}
        exceeding.exceeds_on as projected_exceeds_on,
        measured.method

    from measured
    left join exceeding on measured.customer_id = exceeding.customer_id

)

select * from contract_forecasts
