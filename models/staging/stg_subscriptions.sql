with

base_subscriptions as (

    select * from {{ ref('base_subscriptions') }}

),

-- Of several rows with the same key the greater one as text wins.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, effective_from
            order by
                {{ row_text([
                    'recipe_metric', 'included_credits', 'task_limit', 'billing_cycle_day',
                    'effective_to',
                ]) }} desc
        ) as delivery_rank

    from base_subscriptions
    where quarantine_reason is null

),

stg_subscriptions as (

    select
        customer_id,
        recipe_metric,
        included_credits,
        task_limit,
        billing_cycle_day,
        effective_from,
        effective_to

    from ranked
    where delivery_rank = 1

)

select * from stg_subscriptions
