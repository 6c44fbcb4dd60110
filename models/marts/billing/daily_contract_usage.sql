{{ replaces('billing_period') }}

with

periods as (

    select * from {{ ref('contract_periods') }}

),

terms as (

    select * from {{ ref('effective_terms') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

-- Flows, and the levels of each day.
used as (

    select
        customer_id,
        usage_date,
        recipe_id,
        counted_as,
        call_type,
        quantity,
        false as is_level
    from {{ ref('daily_billable_usage') }}
    where
        not is_admin
        and {{ in_affected('billed_date') }}

    union all

    select
        customer_id,
        usage_date,
        cast(null as string) as recipe_id,
        metric as counted_as,
        cast(null as string) as call_type,
        quantity,
        true as is_level
    from {{ ref('metered_seats') }}
    where
        not is_admin
        and {{ in_affected('billed_date') }}

),

-- Each customer's usage is its own contract's, and the partner's (C-POOL).
used_by_contracts as (

    select
        *,
        customer_id as contract_id
    from used

    union all

    select
        *,
        '*' as contract_id
    from used

),

-- What the terms in force on the day bill. Recipes matter under task terms only (C-HVR).
billed as (

    select
        periods.customer_id,
        periods.term_from,
        periods.terms,
        periods.measure,
        periods.period_from,
        used.usage_date,
        terms.metric,
        used.call_type,
        used.is_level,
        cast(sum(used.quantity) as bigint) as quantity,
        case when periods.measure = 'tasks' and used.recipe_id is not null then used.customer_id end as account_id,
        case when periods.measure = 'tasks' then used.recipe_id end as recipe_id

    from used_by_contracts as used
    inner join periods
        on
            used.contract_id = periods.customer_id
            and {{ is_in_period('periods', 'used.usage_date') }}
    inner join terms
        on
            periods.terms = terms.terms
            and used.counted_as = terms.counted_as
    where used.usage_date <= (select as_of.as_of_date from as_of)
    group by
        periods.customer_id, periods.term_from, periods.terms, periods.measure, periods.period_from, used.usage_date,
        terms.metric, used.call_type, used.is_level,
        case when periods.measure = 'tasks' and used.recipe_id is not null then used.customer_id end,
        case when periods.measure = 'tasks' then used.recipe_id end
    having sum(used.quantity) > 0

),

daily_contract_usage as (

    select
        *,
        cast(
            case when is_level then max(quantity) over until_day else sum(quantity) over until_day end as bigint
        ) as quantity_to_date
    from billed
    window until_day as (
        partition by customer_id, period_from, metric, call_type, account_id, recipe_id order by usage_date
    )

)

select * from daily_contract_usage
