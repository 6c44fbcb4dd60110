with

flat as (

    select
        *,
        cast(null as string) as entry,
        false as is_link_unreadable
    from {{ extract('api_requests') }}

),

streamed_texts as (

    select * from {{ ref('base_streamed_requests') }}

),

extracted as (

    select * from flat

    union all

    {{ rows_of_texts('api_requests', 'streamed_texts', keep=['entry', 'is_link_unreadable']) }}

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
        case
            when is_link_unreadable then 'unreadable job_id'
            else {{ quarantine_reason('api_requests') }}
        end as quarantine_reason

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
        case
            when quarantine_reason is null then null
            when entry is null then {{ row_content('api_requests') }}
            else {{ row_content('api_requests', {'entry': 'entry'}) }}
        end as row_content

    from checked

)

select * from base_api_requests
