with

base_api_requests as (

    select * from {{ ref('base_api_requests') }}

),

-- The latest delivery wins; of two at the same time the greater row as text.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, request_id
            order by
                extracted_at desc,
                {{ tiebreak_text([
                    'requested_at', 'request_type', 'api_collection_id', 'recipe_id', 'job_id',
                    'http_status', 'gateway_code', 'internal_error',
                ]) }} desc
        ) as delivery_rank

    from base_api_requests
    where
        quarantine_reason is null
        and {{ delivered_in_this_run('request') }}

),

stg_api_requests as (

    select
        request_hash,
        request_id,
        customer_id,
        api_collection_id,
        recipe_id,
        job_id,
        request_type,
        http_status,
        gateway_code,
        internal_error,
        requested_at,
        extracted_at

    from ranked
    where delivery_rank = 1

)

select * from stg_api_requests
