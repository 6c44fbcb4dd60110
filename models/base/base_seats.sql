with

extracted as (

    select * from {{ extract('seats') }}

),

-- Words and dates as the contract defines them; null if they cannot be read.
parsed as (

    select
        *,
        lower(product) as read_product,
        {{ to_date('effective_from') }} as read_effective_from,
        {{ to_date('effective_to') }} as read_effective_to

    from extracted

),

checked as (

    select
        *,
        {{ quarantine_reason('seats') }} as quarantine_reason

    from parsed

),

base_seats as (

    select
        -- ids
        id as seat_order_id,
        account_id as customer_id,
        app_id,

        -- what it is
        read_product as product,
        seats,

        -- times
        read_effective_from as effective_from,
        read_effective_to as effective_to,
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('seats') }} end as row_content

    from checked

)

select * from base_seats
