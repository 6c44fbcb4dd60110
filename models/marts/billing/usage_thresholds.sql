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

-- An allowance for the whole term is reached in one of its periods only.
reached_percents as (

    select
        totals.customer_id,
        totals.term_from,
        totals.period_from,
        totals.usage_date,
        steps.threshold,
        row_number() over (
            partition by
                totals.customer_id, periods.allowance_per, totals.term_from,
                case when periods.allowance_per = 'cycle' then totals.period_from end, steps.threshold
            order by totals.usage_date
        ) as day_rank

    from totals
    inner join periods
        on
            totals.customer_id = periods.customer_id
            and totals.period_from = periods.period_from
    inner join steps
        on {{ nanos('totals.used_of_allowance') }} * 100 >= {{ nanos('periods.allowance') }} * steps.threshold
    where
        steps.threshold_kind = 'allowance_percent'
        and periods.allowance > 0

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
    where day_rank = 1

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
