with

extracted as (

    select * from {{ extract('api_collections') }}

),

checked as (

    select
        *,
        {{ quarantine_reason('api_collections') }} as quarantine_reason

    from extracted

),

base_api_collections as (

    select
        -- ids
        id as api_collection_id,
        account_id as customer_id,

        -- what it is
        name as api_collection_name,
        coalesce(is_mcp_server, false) as is_mcp_server,

        -- times
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('api_collections') }} end as row_content

    from checked

)

select * from base_api_collections
