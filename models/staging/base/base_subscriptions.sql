with

extracted as (

    select * from {{ extract('subscriptions') }}

),

judged as (

    select
        extracted.*,
        {{ quarantine_reason('subscriptions') }} as quarantine_reason

    from extracted

),

base_subscriptions as (

    select
        -- ids
        account_id as customer_id,

        -- what it is
        lower(recipe_metric) as recipe_metric,
        try_cast(included_credits as decimal(18, 9)) as included_credits,
        {{ to_whole_number('task_limit') }} as task_limit,
        {{ to_whole_number('billing_cycle_day') }} as billing_cycle_day,

        -- times
        {{ to_date('effective_from') }} as effective_from,
        {{ to_date('effective_to') }} as effective_to,

        -- where it comes from, and whether it can be used
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('subscriptions') }} end as row_content

    from judged

)

select * from base_subscriptions
