with

collections as (

    select * from {{ ref('stg_api_collections') }}
    where is_current

),

changed_collections as (

    select {{ row_hash(['collections.customer_id', 'collections.api_collection_id']) }} as collection_hash
    from collections
    left join run_state.mcp_collections as mcp_before
        on
            collections.customer_id = mcp_before.customer_id
            and collections.api_collection_id = mcp_before.api_collection_id
    where collections.is_mcp_server is distinct from (mcp_before.api_collection_id is not null)

)

select * from changed_collections
