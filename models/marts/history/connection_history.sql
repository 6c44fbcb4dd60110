with

connection_history as (

    {{ validity_intervals(
        ref('stg_connections'),
        key=['customer_id', 'connection_id'],
        attributes=[
            'connection_name', 'adapter_name', 'authorization_status', 'authorized_at', 'created_at', 'is_admin',
        ]
    ) }}

)

select * from connection_history
