with

months as (

    select * from {{ ref('months') }}

),

monthly_connections as (

    select * from {{ ref('monthly_connections') }}

),

connection_trends as (

    select
        monthly_connections.usage_month,
        monthly_connections.connections,
        monthly_connections.is_reconstructed

    from monthly_connections
    inner join months on monthly_connections.usage_month = months.usage_month
    where months.is_in_last_6_months

)

select * from connection_trends
