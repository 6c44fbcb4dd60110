with

subscriptions as (

    select * from {{ ref('stg_subscriptions') }}
    where not is_admin

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

customer_terms as (

    select
        intervals.customer_id,
        intervals.effective_from,
        intervals.effective_to,
        intervals.term_from,
        subscriptions.included_credits,
        subscriptions.task_limit,
        subscriptions.billing_cycle_day,
        coalesce(subscriptions.recipe_metric, 'business_actions') as recipe_metric

    from intervals
    left join subscriptions
        on
            intervals.customer_id = subscriptions.customer_id
            and intervals.term_from = subscriptions.effective_from

)

select * from customer_terms
