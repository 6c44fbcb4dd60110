with

dated_terms as (

    {{ dated_terms('seats') }}

),

stg_seats as (

    select
        seat_order_id,
        customer_id,
        app_id,
        product,
        seats,
        ended_by,
        effective_from,
        effective_to,
        unlisted_on,
        extracted_at

    from dated_terms

)

select * from stg_seats
