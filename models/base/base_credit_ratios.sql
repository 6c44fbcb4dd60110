with

extracted as (

    select * from {{ extract('credit_ratios') }}

),

-- Words and dates as the contract defines them; null if they cannot be read.
parsed as (

    select
        *,
        lower(terms) as read_terms,
        lower(metric) as read_metric,
        lower(call_type) as read_call_type,
        {{ to_date('effective_from') }} as read_effective_from,
        {{ to_date('effective_to') }} as read_effective_to

    from extracted

),

checked as (

    select
        *,
        {{ quarantine_reason('credit_ratios') }} as quarantine_reason

    from parsed

),

base_credit_ratios as (

    select
        -- ids
        account_id as customer_id,

        -- what it is
        read_terms as terms,
        read_metric as metric,
        read_call_type as call_type,
        credits_per_unit,

        -- times
        read_effective_from as effective_from,
        read_effective_to as effective_to,
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('credit_ratios') }} end as row_content

    from checked

)

select * from base_credit_ratios
