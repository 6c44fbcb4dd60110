with

operations as (

    select * from {{ ref('delivered_operations') }}

),

connections as (

    select * from {{ ref('stg_connections') }}

),

app_eligibility as (

    select * from {{ ref('app_eligibility') }}

),

seen as (

    select adapter_name from operations
    where adapter_name is not null
    union
    select adapter_name from connections
    where adapter_name is not null

),

-- An app goes by the name of the adapter that stands for it, newest first: a second connection has no name of its own.
app_names as (

    select
        adapter_name as app,
        max_by(app_name, effective_from) as app_name
    from app_eligibility
    group by adapter_name

),

-- A second connection of an app is the same app, unless the rule book lists it as one of its own.
folded as (

    select
        seen.adapter_name,
        case
            when seen.adapter_name in (select app_eligibility.adapter_name from app_eligibility) then seen.adapter_name
            when right(seen.adapter_name, 10) = '_secondary'
                then substr(seen.adapter_name, 1, length(seen.adapter_name) - 10)
            else seen.adapter_name
        end as listed_name

    from seen

),

ruled as (

    select
        folded.adapter_name,
        folded.listed_name,
        {{ is_matching('folded.listed_name', '.+_connector_[0-9]+_[0-9]+') }} as is_custom_connector,
        app_eligibility.adapter_name is not null as is_listed,
        app_eligibility.rule_id,
        app_eligibility.app,
        app_names.app_name,
        app_eligibility.effective_from,
        app_eligibility.effective_to

    from folded
    left join app_eligibility on folded.listed_name = app_eligibility.adapter_name
    left join app_names on app_eligibility.app = app_names.app

),

named as (

    select
        adapter_name,
        effective_from,
        effective_to,
        case
            when is_listed then app
            else listed_name
        end as app,
        case
            when is_listed then app_name
            when is_custom_connector
                then replace(regexp_extract(listed_name, '(.+)_connector_[0-9]+_[0-9]+', 1), '_', ' ')
            else listed_name
        end as app_name,
        case
            when is_listed then rule_id
            when is_custom_connector then 'S-ACTION'
            when substr(listed_name, 1, 8) = 'workato_' then 'S-UNRULED'
            else 'S-UNKNOWN'
        end as rule_id,
        is_custom_connector and not is_listed as is_custom_connector

    from ruled

),

apps as (

    select
        adapter_name,
        app,
        case
            when is_custom_connector then upper(substr(app_name, 1, 1)) || substr(app_name, 2)
            else app_name
        end as app_name,
        rule_id,
        case rule_id
            when 'S-ACTION' then true
            when 'S-UNRULED' then {{ boolean_option('unruled_app_is_eligible') }}
            when 'S-UNKNOWN' then {{ boolean_option('unknown_app_is_eligible') }}
            else false
        end as is_eligible,
        rule_id in ('S-UNRULED', 'S-UNKNOWN') as is_default_ruling,
        is_custom_connector,
        coalesce(effective_from, cast('1970-01-01' as date)) as effective_from,
        effective_to

    from named

)

select * from apps
