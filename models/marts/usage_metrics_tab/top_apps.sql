with

months as (

    select * from {{ ref('months') }}

),

app_connections as (

    select * from {{ ref('monthly_app_connections') }}

),

-- A row for each customer and app.
by_app as (

    select
        app_connections.app,
        app_connections.app_name,
        sum(app_connections.connections) as connections,
        count(*) as customers,
        sum(sum(app_connections.connections)) over () as connections_of_all_apps

    from app_connections
    inner join months
        on
            app_connections.usage_month = months.usage_month
            and months.is_current_month
    group by app_connections.app, app_connections.app_name

),

ranked as (

    select
        *,
        row_number() over (order by connections desc, app_name asc, app asc) as connections_rank
    from by_app
    where app is not null

),

top_apps as (

    select
        cast(connections_rank as bigint) as rank,
        app,
        app_name,
        cast(connections as bigint) as connections,
        customers,
        {{ ratio('connections', 'connections_of_all_apps') }} as share
    from ranked
    where connections_rank <= 10

)

select * from top_apps
