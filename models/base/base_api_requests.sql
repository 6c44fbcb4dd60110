with

extracted as (

    select * from {{ extract('api_requests') }}

),

-- Words and dates as the contract defines them; null if they cannot be read.
parsed as (

    select
        *,
        lower(request_type) as read_request_type

    from extracted

),

checked as (

    select
        *,
        {{ quarantine_reason('api_requests') }} as quarantine_reason

    from parsed

),

base_api_requests as (

    select
        -- ids
        {{ row_hash(["'api_requests'", 'account_id', 'id']) }} as request_hash,
        id as request_id,
        account_id as customer_id,
        api_collection_id,
        recipe_id,
        job_id,

        -- what it is
        read_request_type as request_type,
        http_status,
        gateway_code,
        internal_error,

        -- times
        requested_at,
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('api_requests') }} end as row_content

    from checked

)

select * from base_api_requests
