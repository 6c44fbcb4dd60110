-- Every day of a customer, from its first month to the as-of date, is in exactly one billing period; the lines of a
-- period add up to its value, and to what was used.
with

first_months as (

    select
        customer_id,
        min(usage_month) as first_month
    from {{ ref('monthly_customer_usage') }}
    group by customer_id

),

dated as (

    select
        periods.customer_id,
        first_months.first_month,
        as_of.as_of_date,
        greatest(periods.period_from, first_months.first_month) as first_day,
        least(periods.period_to, cast(as_of.as_of_date + interval '1' day as date)) as next_day
    from {{ ref('billing_periods') }} as periods
    inner join first_months on periods.customer_id = first_months.customer_id
    cross join {{ ref('as_of') }} as as_of

),

days_in_periods as (

    select
        customer_id,
        sum(cast({{ days_between('first_day', 'next_day') }} as bigint)) as period_days,
        max(cast({{ days_between('first_month', 'as_of_date') }} as bigint)) + 1 as expected_days
    from dated
    group by customer_id

),

lines as (

    select
        customer_id,
        period_from,
        sum(used_value) as used_value,
        sum(credits) as credits,
        sum(quantity) as quantity,
        bool_or(is_unpriced) as is_unpriced
    from {{ ref('contract_usage') }}
    group by customer_id, period_from

)

select
    customer_id,
    cast(null as date) as period_from,
    'a day in no period, or in two' as problem
from days_in_periods
where period_days is distinct from expected_days

union all

select
    first_months.customer_id,
    cast(null as date) as period_from,
    'no period' as problem
from first_months
left join days_in_periods on first_months.customer_id = days_in_periods.customer_id
where days_in_periods.customer_id is null

union all

select
    periods.customer_id,
    periods.period_from,
    'the lines are not the period' as problem
from {{ ref('billing_periods') }} as periods
left join lines
    on
        periods.customer_id = lines.customer_id
        and periods.period_from = lines.period_from
where
    coalesce(lines.used_value, 0) <> coalesce(periods.used_value, 0)
    or periods.used <> coalesce(case when periods.measure = 'tasks' then lines.quantity else lines.credits end, 0)
    or periods.is_fully_priced is not distinct from coalesce(lines.is_unpriced, false)
