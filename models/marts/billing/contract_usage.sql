with

credits as (

    select * from {{ ref('daily_contract_credits') }}

),

periods as (

    select * from {{ ref('billing_periods') }}

),

contract_periods as (

    select * from {{ ref('contract_periods') }}

),

-- Credits are those of the priced part (C-UNPRICED).
added_up as (

    select
        customer_id,
        term_from,
        measure,
        period_from,
        metric,
        call_type,
        sum(quantity_added) as quantity,
        sum(unpriced_added) as unpriced_quantity,
        case
            when sum(unpriced_added) < sum(quantity_added) then {{ amount('sum(credits_added)') }}
        end as credits
    from credits
    group by customer_id, term_from, measure, period_from, metric, call_type
    having sum(quantity_added) <> 0

),

-- Each line's share of the period's value, in whole minor units of the currency (C-VALUE).
shared as (

    select
        lines.*,
        contract_periods.minor_unit,
        {{ whole_quotient(nanos('periods.used_value'), 'contract_periods.minor_unit') }} as units_of_period,
        {{ nanos("case when lines.measure = 'tasks' then lines.quantity else lines.credits end") }} as used,
        {{ nanos('periods.used') }} as used_of_period

    from added_up as lines
    inner join periods
        on
            lines.customer_id = periods.customer_id
            and lines.period_from = periods.period_from
    inner join contract_periods
        on
            lines.customer_id = contract_periods.customer_id
            and lines.period_from = contract_periods.period_from

),

floored as (

    select
        *,
        case
            when used_of_period = 0 then units_of_period * used
            else {{ whole_quotient('units_of_period * used', 'used_of_period') }}
        end as whole_units
    from shared

),

-- The missing units go to the largest fractions.
ranked as (

    select
        *,
        units_of_period - sum(whole_units) over (partition by customer_id, period_from) as missing_units,
        row_number() over (
            partition by customer_id, period_from
            order by
                units_of_period * used - whole_units * used_of_period desc nulls last, metric asc,
                call_type asc nulls first
        ) as fraction_rank
    from floored

),

contract_usage as (

    select
        customer_id,
        term_from,
        period_from,
        metric,
        call_type,
        cast(quantity as bigint) as quantity,
        cast(credits as decimal(38, 9)) as credits,
        unpriced_quantity > 0 as is_unpriced,
        {{ from_nanos(
            'minor_unit * (whole_units + case when fraction_rank <= missing_units then 1 else 0 end)'
        ) }} as used_value
    from ranked

)

select * from contract_usage
