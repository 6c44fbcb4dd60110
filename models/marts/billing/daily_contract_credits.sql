{{ replaces('billing_period') }}

with

used as (

    select * from {{ ref('daily_contract_usage') }}
    where {{ in_affected('billing_period') }}

),

periods as (

    select * from {{ ref('contract_periods') }}

),

ratios as (

    select * from {{ ref('stg_credit_ratios') }}

),

-- A recipe with more tasks in the period is high-volume (C-HVR).
bounds as (

    select
        terms,
        min(more_than_tasks) as most_tasks
    from {{ ref('recipe_tiers') }}
    group by terms

),

-- What counts at the end of the day: no task of a high-volume recipe; of a level the peak until then (C-LEVEL).
counting as (

    select
        used.*,
        case
            when used.recipe_id is not null and used.quantity_to_date > bounds.most_tasks then 0
            else used.quantity_to_date
        end as counted_to_date

    from used
    left join bounds on used.terms = bounds.terms

),

changes as (

    select
        *,
        counted_to_date - coalesce(lag(counted_to_date) over (
            partition by customer_id, period_from, metric, call_type, account_id, recipe_id order by usage_date
        ), 0) as quantity_added
    from counting

),

-- Recipes and accounts are added up by day.
added as (

    select
        customer_id,
        term_from,
        terms,
        measure,
        period_from,
        usage_date,
        metric,
        call_type,
        is_level,
        max(counted_to_date) as counted_to_date,
        sum(quantity_added) as quantity_added
    from changes
    where quantity_added <> 0
    group by customer_id, term_from, terms, measure, period_from, usage_date, metric, call_type, is_level

),

-- Each day at its ratio (C-RATIO).
priced as (

    {{ with_rates('added', 'ratios') }}

),

-- A level at the ratio of the first day of its peak, for its part of the cycle.
measured as (

    select
        priced.*,
        case
            when priced.measure = 'tasks' or priced.credits_per_unit is not null then 0
            when priced.is_level then priced.counted_to_date
            else priced.quantity_added
        end as unpriced,
        cast(priced.quantity_added as decimal(18, 0)) * priced.credits_per_unit as credits_of_flow,
        {{ share_of(
            'cast(priced.counted_to_date as decimal(18, 0)) * priced.credits_per_unit', 'periods.period_days',
            'periods.cycle_days'
        ) }} as credits_of_level

    from priced
    inner join periods
        on
            priced.customer_id = periods.customer_id
            and priced.period_from = periods.period_from

),

with_previous as (

    select
        *,
        {{ amount('coalesce(case when is_level then credits_of_level else credits_of_flow end, 0)') }} as credits,
        case when is_level then lag(unpriced) over until_day end as previous_unpriced,
        case
            when is_level then lag({{ amount('coalesce(credits_of_level, 0)') }}) over until_day
        end as previous_credits
    from measured
    window until_day as (partition by customer_id, period_from, metric, call_type, is_level order by usage_date)

),

daily_contract_credits as (

    select
        customer_id,
        term_from,
        terms,
        measure,
        period_from,
        usage_date,
        metric,
        call_type,
        cast(quantity_added as bigint) as quantity_added,
        cast(unpriced - coalesce(previous_unpriced, 0) as bigint) as unpriced_added,
        cast(
            case when measure <> 'tasks' then credits - coalesce(previous_credits, 0) end as decimal(38, 9)
        ) as credits_added
    from with_previous

)

select * from daily_contract_credits
