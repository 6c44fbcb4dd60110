with

dated_terms as (

    {{ dated_terms('subscriptions') }}

),

stg_subscriptions as (

    select
        customer_id,
        recipe_metric,
        terms,
        included_credits,
        task_limit,
        allowance_per,
        unit_price,
        currency,
        billing_cycle_day,
        ended_by,
        effective_from,
        effective_to,
        unlisted_on,
        extracted_at,
        {{ is_admin_account('customer_id') }} as is_admin

    from dated_terms

)

select * from stg_subscriptions
