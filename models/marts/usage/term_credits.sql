{{ replaces('billed_month') }}

with

billable as (

    select * from {{ ref('daily_customer_usage') }}
    where
        is_in_month_figure
        and {{ in_affected('billed_date') }}

),

counted as (

    select * from {{ ref('daily_billable_usage') }}
    where {{ in_affected('billed_date') }}

),

customer_terms as (

    select * from {{ ref('customer_terms') }}

),

ratios as (

    select * from {{ ref('stg_credit_ratios') }}

),

terms as (

    select * from {{ ref('effective_terms') }}

),

-- The terms in force on the day say what is billed.
measured as (

    {{ with_terms('billable', 'customer_terms') }}

),

-- What only some terms count: workflow tasks, and what a call over MCP invoked.
counted_by_terms as (

    select
        used.customer_id,
        used.usage_date,
        terms.metric,
        used.call_type,
        used.quantity,
        customer_terms.term_from,
        terms.terms,
        terms.measure

    from counted as used
    inner join customer_terms
        on
            used.customer_id = customer_terms.customer_id
            and {{ is_in_force('customer_terms', 'used.usage_date') }}
    inner join terms
        on
            customer_terms.terms = terms.terms
            and used.counted_as = terms.counted_as
    where
        terms.recipe_metric is null
        and terms.counted_as <> terms.metric
        and used.usage_date <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)

),

used as (

    select
        customer_id,
        usage_month,
        usage_date,
        metric,
        call_type,
        quantity,
        term_from,
        terms,
        measure,
        is_billed
    from measured

    union all

    select
        customer_id,
        cast(date_trunc('month', usage_date) as date) as usage_month,
        usage_date,
        metric,
        call_type,
        quantity,
        term_from,
        terms,
        measure,
        true as is_billed
    from counted_by_terms

),

rated as (

    {{ with_rates('used', 'ratios') }}

),

-- Task terms bill tasks, so that tasks without a ratio are not unpriced (C-UNPRICED).
priced as (

    select
        *,
        is_billed and credits_per_unit is null and measure <> 'tasks' as is_without_ratio
    from rated

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
            sum(case when is_without_ratio then quantity else 0 end) as bigint
        ) as unpriced_quantity,
        cast(sum(case when is_billed then quantity * credits_per_unit end) as decimal(38, 9)) as credits,
        bool_or(is_without_ratio) as is_unpriced

    from priced
    group by usage_month, customer_id, term_from, metric, call_type

)

select * from term_credits
