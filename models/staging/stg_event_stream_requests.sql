with

base_event_stream_requests as (

    select * from {{ ref('base_event_stream_requests') }}

),

-- The latest delivery wins; of two with the same time, the greater row as text.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, request_id
            order by
                extracted_at desc,
                {{ tiebreak_text(['requested_at', 'endpoint', 'message_count', 'status']) }} desc
        ) as delivery_rank

    from base_event_stream_requests
    where
        quarantine_reason is null
        and {{ delivered_in_this_run('request') }}

),

stg_event_stream_requests as (

    select
        request_hash,
        request_id,
        customer_id,
        endpoint,
        message_count,
        status,
        requested_at,
        extracted_at

    from ranked
    where delivery_rank = 1

)

select * from stg_event_stream_requests
