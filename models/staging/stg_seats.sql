with

base_seats as (

    select * from {{ ref('base_seats') }}

),

-- Of several rows with the same key the greater one as text wins.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, seat_order_id
            order by
                {{ row_text(['product', 'app_id', 'seats', 'effective_from', 'effective_to']) }} desc
        ) as delivery_rank

    from base_seats
    where quarantine_reason is null

),

stg_seats as (

    select
        seat_order_id,
        customer_id,
        app_id,
        product,
        seats,
        effective_from,
        effective_to

    from ranked
    where delivery_rank = 1

)

select * from stg_seats
