with

base_connections as (

    select * from {{ ref('base_connections') }}

),

-- One listing names each connection once; repeats of it are put in order by their text.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, connection_id, extracted_at
            order by
                {{ row_text([
                    'connection_name', 'adapter_name', 'authorization_status', 'authorized_at',
                    'created_at',
                ]) }} desc
        ) as delivery_rank

    from base_connections
    where quarantine_reason is null

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
        extracted_at,
        row_number() over (
            partition by customer_id, connection_id order by extracted_at desc
        ) = 1 as is_latest

    from ranked
    where delivery_rank = 1

)

select * from stg_connections
