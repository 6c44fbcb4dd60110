with

customer_terms as (

    select * from {{ ref('customer_terms') }}

),

measures as (

    select distinct
        terms,
        measure
    from {{ ref('effective_terms') }}

),

currencies as (

    select * from {{ ref('currency_minor_units') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

months as (

    select
        customer_id,
        min(usage_month) as first_month
    from {{ ref('monthly_customer_usage') }}
    group by customer_id

),

-- The partner's own contract has periods from the first month of any customer on (C-POOL).
first_months as (

    select * from months

    union all

    select
        '*' as customer_id,
        min(first_month) as first_month
    from months

),

contracts as (

    select
        customer_terms.*,
        measures.measure,
        first_months.first_month,
        as_of.as_of_date,
        coalesce(customer_terms.billing_cycle_day, 1) as cycle_day,
        greatest(customer_terms.effective_from, first_months.first_month) as shown_from

    from customer_terms
    cross join as_of
    inner join measures on customer_terms.terms = measures.terms
    inner join first_months on customer_terms.customer_id = first_months.customer_id

),

-- A cycle begins in each month, the first one at most a month before what is shown.
months_of_contracts as (

    select
        *,
        {{ date_spine(
            "cast(date_trunc('month', shown_from) - interval '1' month as date)",
            'least(as_of_date, effective_to)',
            'month'
        ) }} as cycle_month
    from contracts

),

next_months as (

    select
        *,
        cast(cycle_month + interval '1' month as date) as next_month
    from months_of_contracts

),

-- On days 29 to 31, a shorter month's cycle begins on its last day (C-CYCLE).
cycles as (

    select
        *,
        least(cast(cycle_month + cast(cycle_day - 1 as int) as date), last_day(cycle_month)) as cycle_from,
        least(cast(next_month + cast(cycle_day - 1 as int) as date), last_day(next_month)) as cycle_to
    from next_months

),

-- The part of the cycle in which the terms are in force (C-PERIOD). least() ignores an end that is null.
periods as (

    select
        *,
        greatest(cycle_from, effective_from) as period_from,
        least(cycle_to, effective_to) as period_to
    from cycles

),

measured_periods as (

    select
        *,
        {{ days_between('period_from', 'period_to') }} as period_days,
        {{ days_between('cycle_from', 'cycle_to') }} as cycle_days,
        least(cast(as_of_date + interval '1' day as date), period_to) as elapsed_to,
        case when measure = 'tasks' then task_limit else included_credits end as included,
        coalesce(allowance_per = 'cycle', false) and {{ boolean_option('prorate_allowances') }} as is_prorated
    from periods
    where
        period_from < period_to
        and period_to > first_month
        and period_from <= as_of_date

),

-- Credits to 9 decimals, tasks to whole ones (C-PRORATE).
prorated as (

    select
        *,
        {{ share_of('included', 'period_days', 'cycle_days') }} as share_of_credits,
        {{ share_of('included', 'period_days', 'cycle_days', 1000000000) }} as share_of_tasks
    from measured_periods

),

contract_periods as (

    select
        periods.customer_id,
        periods.term_from,
        periods.terms,
        periods.measure,
        periods.cycle_from,
        periods.cycle_to,
        periods.period_from,
        periods.period_to,
        periods.allowance_per,
        periods.unit_price,
        periods.currency,
        cast(periods.period_days as bigint) as period_days,
        cast(periods.cycle_days as bigint) as cycle_days,
        cast({{ days_between('periods.period_from', 'periods.elapsed_to') }} as bigint) as days_elapsed,
        cast(
            case
                when not periods.is_prorated then periods.included
                when periods.measure = 'tasks' then periods.share_of_tasks
                else periods.share_of_credits
            end as decimal(38, 9)
        ) as allowance,
        cast({{ nanos_per_minor_unit('currencies.minor_units') }} as bigint) as minor_unit

    from prorated as periods
    left join currencies on periods.currency = currencies.currency

)

select * from contract_periods
