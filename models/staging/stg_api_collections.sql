with

listed_once as (

    {{ listed_once(
        'api_collections',
        key=['customer_id', 'api_collection_id'],
        attributes=[
            'api_collection_name', 'is_mcp_server',
        ]
    ) }}

),

stg_api_collections as (

    select
        api_collection_id,
        customer_id,
        api_collection_name,
        is_mcp_server,
        extracted_at,
        is_current

    from listed_once

)

select * from stg_api_collections
