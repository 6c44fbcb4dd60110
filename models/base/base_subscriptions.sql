with

extracted as (

    select * from {{ extract('subscriptions') }}

),

-- Words and dates as the contract defines them; null if they cannot be read.
parsed as (

    select
        *,
        lower(recipe_metric) as read_recipe_metric,
        lower(terms) as read_terms,
        lower(allowance_per) as read_allowance_per,
        {{ to_date('effective_from') }} as read_effective_from,
        {{ to_date('effective_to') }} as read_effective_to

    from extracted

),

checked as (

    select
        *,
        {{ quarantine_reason('subscriptions') }} as quarantine_reason

    from parsed

),

base_subscriptions as (

    select
        -- ids
        account_id as customer_id,

        -- what it is
        read_recipe_metric as recipe_metric,
        read_terms as terms,
        included_credits,
        task_limit,
        read_allowance_per as allowance_per,
        unit_price,
        upper(currency) as currency,
        billing_cycle_day,

        -- times
        read_effective_from as effective_from,
        read_effective_to as effective_to,
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('subscriptions') }} end as row_content

    from checked

)

select * from base_subscriptions
