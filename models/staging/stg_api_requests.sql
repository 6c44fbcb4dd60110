with

base_api_requests as (

    select * from {{ ref('base_api_requests') }}

),

-- The latest delivery wins; of two with the same time, the greater row as text.
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
        -- a code of 0 or 2xx is no refusal; any text except a spelling of false is an error
        (
            gateway_code is null
            or coalesce({{ to_whole_number('gateway_code') }} = 0, false)
            or coalesce({{ to_whole_number('gateway_code') }} between 200 and 299, false)
        )
        and coalesce(
            {{ is_one_of('internal_error', false_words() + ['{}', '[]']) }}, true
        ) as is_successful,
        requested_at,
        extracted_at

    from ranked
    where delivery_rank = 1

)

select * from stg_api_requests
