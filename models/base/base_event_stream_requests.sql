with

extracted as (

    select * from {{ extract('event_stream_requests') }}

),

status_words as (

    select
        raw_status,
        status as read_status
    from {{ ref('status_words') }}

),

-- Words and dates as the contract defines them; null if they cannot be read.
parsed as (

    select
        extracted.*,
        status_words.read_status,
        lower(extracted.endpoint) as read_endpoint

    from extracted
    left join status_words on lower(extracted.status) = status_words.raw_status

),

checked as (

    select
        *,
        {{ quarantine_reason('event_stream_requests') }} as quarantine_reason

    from parsed

),

base_event_stream_requests as (

    select
        -- ids
        {{ row_hash(["'event_stream_requests'", 'account_id', 'id']) }} as request_hash,
        id as request_id,
        account_id as customer_id,

        -- what it is
        read_endpoint as endpoint,
        message_count,
        read_status as status,

        -- times
        requested_at,
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('event_stream_requests') }} end as row_content

    from checked

)

select * from base_event_stream_requests
