with

extracted as (

    select * from {{ extract('seats') }}

),

judged as (

    select
        extracted.*,
        {{ quarantine_reason('seats') }} as quarantine_reason

    from extracted

),

base_seats as (

    select
        -- ids
        id as seat_order_id,
        account_id as customer_id,
        app_id,

        -- what it is
        lower(product) as product,
        {{ to_whole_number('seats') }} as seats,

        -- times
        {{ to_date('effective_from') }} as effective_from,
        {{ to_date('effective_to') }} as effective_to,

        -- where it comes from, and whether it can be used
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('seats') }} end as row_content

    from judged

)

select * from base_seats
