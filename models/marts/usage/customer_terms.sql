with

subscriptions as (

    select * from {{ ref('stg_subscriptions') }}
    where not is_admin

),

terms_by_name as (

    select distinct
        terms,
        recipe_metric,
        measure
    from {{ ref('effective_terms') }}

),

accounts as (

    select customer_id from {{ ref('usage_by_capability') }}
    union
    select customer_id from {{ ref('job_recipes') }}
    where not is_admin
    union
    select customer_id from {{ ref('customer_history') }}
    where not is_admin
    union
    select customer_id from {{ ref('recipe_history') }}
    where not is_admin
    union
    select customer_id from {{ ref('connection_history') }}
    where not is_admin
    union
    select customer_id from subscriptions

),

-- Days on which another term may come into force. Terms begin in 1970 at the earliest, as rules do.
boundaries as (

    select
        customer_id,
        cast('1970-01-01' as date) as effective_from
    from accounts

    union

    select
        customer_id,
        effective_from
    from subscriptions
    where effective_from > cast('1970-01-01' as date)

    union

    select
        customer_id,
        effective_to as effective_from
    from subscriptions
    where effective_to > cast('1970-01-01' as date)

),

stretches as (

    select
        customer_id,
        effective_from,
        lead(effective_from) over (partition by customer_id order by effective_from) as effective_to
    from boundaries

),

-- If subscriptions overlap, the one that began last is in force (C-TERM).
ranked as (

    select
        stretches.customer_id,
        stretches.effective_from,
        stretches.effective_to,
        subscriptions.effective_from as term_from,
        row_number() over (
            partition by stretches.customer_id, stretches.effective_from order by subscriptions.effective_from desc
        ) as term_rank

    from stretches
    left join subscriptions
        on
            stretches.customer_id = subscriptions.customer_id
            and {{ is_in_force('subscriptions', 'stretches.effective_from') }}

),

in_force as (

    select
        customer_id,
        effective_from,
        effective_to,
        term_from,
        lag(term_from) over (partition by customer_id order by effective_from) as term_before
    from ranked
    where term_rank = 1

),

numbered as (

    select
        *,
        sum(case when term_from is distinct from term_before then 1 else 0 end) over (
            partition by customer_id order by effective_from
        ) as change_number
    from in_force

),

-- Consecutive stretches of one term are one row.
intervals as (

    select
        customer_id,
        term_from,
        min(effective_from) as effective_from,
        case when not bool_or(effective_to is null) then max(effective_to) end as effective_to
    from numbered
    group by customer_id, term_from, change_number

),

-- Without terms the recipe metric names them; without a subscription the variable default_terms does (C-TERM).
named as (

    select
        intervals.*,
        coalesce(subscriptions.terms, by_recipe_metric.terms, {{ literal(var('default_terms')) }}) as terms,
        subscriptions.included_credits,
        subscriptions.task_limit,
        coalesce(
            subscriptions.allowance_per, case when subscriptions.customer_id is not null then 'cycle' end
        ) as allowance_per,
        subscriptions.unit_price,
        subscriptions.currency,
        subscriptions.billing_cycle_day

    from intervals
    left join subscriptions
        on
            intervals.customer_id = subscriptions.customer_id
            and intervals.term_from = subscriptions.effective_from
    left join terms_by_name as by_recipe_metric on subscriptions.recipe_metric = by_recipe_metric.recipe_metric

),

-- The partner's own contract (C-POOL) has no default.
customer_terms as (

    select
        named.customer_id,
        named.effective_from,
        named.effective_to,
        named.term_from,
        named.terms,
        named.included_credits,
        named.task_limit,
        named.allowance_per,
        named.unit_price,
        named.currency,
        named.billing_cycle_day,
        case when terms_by_name.measure = 'tasks' then 'tasks' else 'business_actions' end as recipe_metric

    from named
    inner join terms_by_name on named.terms = terms_by_name.terms
    where named.customer_id <> '*' or named.term_from is not null

)

select * from customer_terms
