with

billable as (

    select * from {{ ref('daily_customer_usage') }}
    where is_in_month_figure

),

customer_terms as (

    select * from {{ ref('customer_terms') }}

),

ratios as (

    select * from {{ ref('stg_credit_ratios') }}

),

billable_units as (

    select distinct
        metric,
        call_type,
        usage_date
    from billable

),

-- The ratio in force on the day: that of the call type before that of the metric as a whole, then the newest.
rates as (

    select
        billable.metric,
        billable.call_type,
        billable.usage_date,
        ratios.credits_per_unit,
        row_number() over (
            partition by billable.metric, billable.call_type, billable.usage_date
            order by ratios.call_type is null, ratios.effective_from desc
        ) as rate_rank

    from billable_units as billable
    inner join ratios
        on
            billable.metric = ratios.metric
            and (billable.call_type = ratios.call_type or ratios.call_type is null)
            and {{ is_in_force('ratios', 'billable.usage_date') }}

),

-- The terms in force on the day say whether tasks or the other metrics are billed.
priced as (

    select
        billable.*,
        terms.term_from,
        rates.credits_per_unit,
        case
            when terms.recipe_metric = 'tasks' then billable.is_billed_by_tasks
            else billable.is_billed_by_business_actions
        end as is_billed

    from billable
    left join customer_terms as terms
        on
            billable.customer_id = terms.customer_id
            and {{ is_in_force('terms', 'billable.usage_date') }}
    left join rates
        on
            billable.metric = rates.metric
            and billable.call_type is not distinct from rates.call_type
            and billable.usage_date = rates.usage_date
            and rates.rate_rank = 1

),

-- Usage without a ratio has null credits, not 0.
term_credits as (

    select
        usage_month,
        customer_id,
        term_from,
        metric,
        call_type,
        cast(sum(quantity) as bigint) as quantity,
        cast(sum(case when is_billed then quantity else 0 end) as bigint) as billed_quantity,
        cast(
            sum(case when is_billed and credits_per_unit is null then quantity else 0 end) as bigint
        ) as unpriced_quantity,
        cast(sum(case when is_billed then quantity * credits_per_unit end) as decimal(38, 9)) as credits,
        bool_or(is_billed and credits_per_unit is null) as is_unpriced

    from priced
    group by usage_month, customer_id, term_from, metric, call_type

)

select * from term_credits
