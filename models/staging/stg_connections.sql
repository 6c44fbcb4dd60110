with

listed_once as (

    {{ listed_once(
        'connections',
        key=['customer_id', 'connection_id'],
        attributes=[
            'connection_name', 'adapter_name', 'authorization_status', 'authorized_at', 'created_at',
        ]
    ) }}

),

stg_connections as (

    select
        connection_id,
        customer_id,
        connection_name,
        adapter_name,
        authorization_status,
        authorized_at,
        created_at,
        is_admin,
        extracted_at,
        is_current

    from listed_once

)

select * from stg_connections
