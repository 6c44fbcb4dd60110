with

extracted as (

    select * from {{ extract('subscriptions') }}

),

-- Each value as the contract's type; null where it can't be read.
parsed as (

    select
        *,
        lower(recipe_metric) as read_recipe_metric,
        try_cast(included_credits as decimal(18, 9)) as read_included_credits,
        {{ to_whole_number('task_limit') }} as read_task_limit,
        {{ to_whole_number('billing_cycle_day') }} as read_billing_cycle_day,
        {{ to_date('effective_from') }} as read_effective_from,
        {{ to_date('effective_to') }} as read_effective_to

    from extracted

),

judged as (

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
        read_included_credits as included_credits,
        read_task_limit as task_limit,
        read_billing_cycle_day as billing_cycle_day,

        -- times
        read_effective_from as effective_from,
        read_effective_to as effective_to,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('subscriptions') }} end as row_content

    from judged

)

select * from base_subscriptions
