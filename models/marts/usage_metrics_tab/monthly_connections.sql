with

months as (

    select * from {{ ref('month_listings') }}
    where extract_name = 'connections'

),

app_connections as (

    select * from {{ ref('monthly_app_connections') }}

),

monthly_connections as (

    select
        months.usage_month,
        cast(coalesce(sum(app_connections.connections), 0) as bigint) as connections,
        months.is_reconstructed

    from months
    left join app_connections on months.usage_month = app_connections.usage_month
    group by months.usage_month, months.is_reconstructed

)

select * from monthly_connections
