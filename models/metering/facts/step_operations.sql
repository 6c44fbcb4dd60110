with

operations as (

    select * from {{ ref('delivered_operations') }}

),

-- Under each name that the rule book has for the app, whatever the date.
apps as (

    select distinct
        adapter_name,
        app
    from {{ ref('apps') }}

),

step_operations as (

    select
        operations.adapter_name,
        apps.app,
        operations.adapter_operation as operation

    from operations
    left join apps on operations.adapter_name = apps.adapter_name

)

select
    {{ row_hash(['adapter_name', 'app', 'operation']) }} as operation_hash,
    adapter_name,
    app,
    operation
from step_operations
