with

base_api_collections as (

    select * from {{ ref('base_api_collections') }}

),

-- One listing names each API collection once; repeats of it are put in order by their text.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, api_collection_id, extracted_at
            order by
                {{ row_text(['api_collection_name', 'is_mcp_server']) }} desc
        ) as delivery_rank

    from base_api_collections
    where quarantine_reason is null

),

stg_api_collections as (

    select
        api_collection_id,
        customer_id,
        api_collection_name,
        is_mcp_server,
        extracted_at,
        row_number() over (
            partition by customer_id, api_collection_id order by extracted_at desc
        ) = 1 as is_latest

    from ranked
    where delivery_rank = 1

)

select * from stg_api_collections
