with

months as (

    select * from {{ ref('month_listings') }}
    where extract_name = 'connections'

),

connections as (

    select * from {{ ref('connection_history') }}

),

apps as (

    select * from {{ ref('apps') }}

),

authenticated as (

    select
        months.usage_month,
        {{ rule_date('months.last_date') }} as rule_date,
        months.is_reconstructed,
        connections.customer_id,
        connections.adapter_name

    from months
    inner join connections on {{ is_valid_at('connections', 'months.snapshot_at') }}
    where
        connections.authorization_status = 'success'
        and (
            not months.is_reconstructed
            or connections.authorized_at < months.ends_at
        )
        and not connections.is_admin

),

monthly_app_connections as (

    select
        authenticated.usage_month,
        authenticated.customer_id,
        apps.app,
        apps.app_name,
        authenticated.is_reconstructed,
        count(*) as connections

    from authenticated
    left join apps
        on
            authenticated.adapter_name = apps.adapter_name
            and {{ is_in_force('apps', 'authenticated.rule_date') }}
    group by
        authenticated.usage_month, authenticated.customer_id, apps.app, apps.app_name,
        authenticated.is_reconstructed

)

select * from monthly_app_connections
