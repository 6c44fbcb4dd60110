with

extracted as (

    select * from {{ extract('credit_ratios') }}

),

judged as (

    select
        extracted.*,
        {{ quarantine_reason('credit_ratios') }} as quarantine_reason

    from extracted

),

base_credit_ratios as (

    select
        -- what it is
        lower(metric) as metric,
        lower(call_type) as call_type,
        try_cast(credits_per_unit as decimal(18, 9)) as credits_per_unit,

        -- times
        {{ to_date('effective_from') }} as effective_from,
        {{ to_date('effective_to') }} as effective_to,

        -- where it comes from, and whether it can be used
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('credit_ratios') }} end as row_content

    from judged

)

select * from base_credit_ratios
