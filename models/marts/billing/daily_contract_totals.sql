{{ replaces('billing_period') }}

with

credits as (

    select * from {{ ref('daily_contract_credits') }}

),

periods as (

    select * from {{ ref('contract_periods') }}

),

added as (

    select
        customer_id,
        period_from,
        usage_date,
        {{ amount("sum(case when measure = 'tasks' then quantity_added else credits_added end)") }} as used_added,
        sum(unpriced_added) as unpriced_added
    from credits
    group by customer_id, period_from, usage_date

),

-- The periods in which one allowance is used up.
of_allowances as (

    select
        added.*,
        periods.term_from,
        periods.allowance_per,
        case when periods.allowance_per = 'term' then periods.term_from else periods.period_from end as allowance_from

    from added
    inner join periods
        on
            added.customer_id = periods.customer_id
            and added.period_from = periods.period_from

),

daily_contract_totals as (

    select
        customer_id,
        term_from,
        period_from,
        usage_date,
        cast(used_added as decimal(38, 9)) as used_added,
        cast(unpriced_added as bigint) as unpriced_added,
        cast(sum(used_added) over (
            partition by customer_id, allowance_per, allowance_from order by usage_date
        ) as decimal(38, 9)) as used_of_allowance
    from of_allowances

)

select * from daily_contract_totals
