with

extracted as (

    select * from {{ extract('connections') }}

),

-- Words and dates as the contract defines them; null if they cannot be read.
parsed as (

    select
        *,
        lower(authorization_status) as read_authorization_status

    from extracted

),

checked as (

    select
        *,
        {{ quarantine_reason('connections') }} as quarantine_reason

    from parsed

),

base_connections as (

    select
        -- ids
        id as connection_id,
        user_id as customer_id,

        -- what it is
        name as connection_name,
        provider as adapter_name,
        read_authorization_status as authorization_status,

        -- times
        authorized_at,
        created_at,
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('connections') }} end as row_content

    from checked

)

select * from base_connections
