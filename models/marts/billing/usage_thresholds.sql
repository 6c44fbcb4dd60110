with

totals as (

    select * from {{ ref('daily_contract_totals') }}

),

periods as (

    select * from {{ ref('contract_periods') }}

),

used as (

    select * from {{ ref('daily_contract_usage') }}
    where recipe_id is not null

),

steps as (

    select * from {{ ref('threshold_steps') }}

),

tiers as (

    select * from {{ ref('recipe_tiers') }}

),

-- Task terms with tiers have thresholds of recipes: the steps, and the bound of each tier.
recipe_thresholds as (

    select
        tiers.terms,
        steps.threshold
    from tiers
    cross join steps
    where steps.threshold_kind = 'recipe_tasks'

    union

    select
        terms,
        more_than_tasks as threshold
    from tiers

),

-- Whole percents: a threshold is one.
used_percents as (

    select
        totals.customer_id,
        totals.term_from,
        totals.period_from,
        totals.usage_date,
        periods.allowance_per,
        {{ whole_quotient('100 * ' ~ nanos('totals.used_of_allowance'), nanos('periods.allowance')) }} as percent_used

    from totals
    inner join periods
        on
            totals.customer_id = periods.customer_id
            and totals.period_from = periods.period_from
    where periods.allowance > 0

),

-- An allowance for the whole term is reached in one of its periods only.
with_most_before as (

    select
        *,
        coalesce(max(percent_used) over (
            partition by
                customer_id, allowance_per, term_from, case when allowance_per = 'cycle' then period_from end
            order by usage_date
            rows between unbounded preceding and 1 preceding
        ), 0) as most_percent_before
    from used_percents

),

reached_percents as (

    select
        used.customer_id,
        used.term_from,
        used.period_from,
        used.usage_date,
        steps.threshold
    from with_most_before as used
    inner join steps
        on
            used.percent_used >= steps.threshold
            and used.most_percent_before < steps.threshold
    where
        steps.threshold_kind = 'allowance_percent'
        and used.percent_used > used.most_percent_before

),

reached_tasks as (

    select
        used.customer_id,
        used.term_from,
        used.period_from,
        used.account_id,
        used.recipe_id,
        recipe_thresholds.threshold,
        min(used.usage_date) as crossed_on

    from used
    inner join recipe_thresholds
        on
            used.terms = recipe_thresholds.terms
            and used.quantity_to_date >= recipe_thresholds.threshold
    where used.quantity_to_date >= (select min(thresholds.threshold) from recipe_thresholds as thresholds)
    group by
        used.customer_id, used.term_from, used.period_from, used.account_id, used.recipe_id,
        recipe_thresholds.threshold

),

usage_thresholds as (

    select
        customer_id,
        term_from,
        period_from,
        cast(null as string) as account_id,
        cast(null as string) as recipe_id,
        'allowance_percent' as threshold_kind,
        threshold,
        usage_date as crossed_on
    from reached_percents

    union all

    select
        customer_id,
        term_from,
        period_from,
        account_id,
        recipe_id,
        'recipe_tasks' as threshold_kind,
        threshold,
        crossed_on
    from reached_tasks

)

select * from usage_thresholds
