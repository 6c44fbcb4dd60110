with

profiles as (

    select * from {{ ref('step_profiles') }}

),

connections as (

    select * from {{ ref('stg_connections') }}

),

app_eligibility as (

    select * from {{ ref('effective_app_eligibility') }}

),

seen as (

    select adapter_name from profiles
    where adapter_name is not null
    union
    select adapter_name from connections
    where adapter_name is not null

),

-- An app has the newest name of its own adapter. A second connection has no name of its own.
app_names as (

    select
        adapter_name as app,
        max_by(app_name, effective_from) as app_name
    from app_eligibility
    group by adapter_name

),

-- A second connection of an app is the same app, unless the rule book lists it as a separate one.
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

listed_periods as (

    select
        *,
        lead(effective_from) over (partition by adapter_name order by effective_from) as next_effective_from,
        row_number() over (partition by adapter_name order by effective_from) as nth
    from app_eligibility

),

-- Before its first ruling, between two rulings and after the last one, an adapter counts as not listed.
unlisted_periods as (

    select
        adapter_name,
        cast('1970-01-01' as date) as effective_from,
        effective_from as effective_to
    from listed_periods
    where nth = 1 and effective_from > cast('1970-01-01' as date)

    union all

    select
        adapter_name,
        effective_to as effective_from,
        next_effective_from as effective_to
    from listed_periods
    where effective_to < coalesce(next_effective_from, cast('9999-12-31' as date))

),

rulings as (

    select
        adapter_name,
        true as is_listed,
        rule_id,
        rule_override,
        app,
        effective_from,
        effective_to
    from app_eligibility

    union all

    select
        adapter_name,
        false as is_listed,
        cast(null as string) as rule_id,
        cast(null as string) as rule_override,
        cast(null as string) as app,
        effective_from,
        effective_to
    from unlisted_periods

),

ruled as (

    select
        folded.adapter_name,
        folded.listed_name,
        {{ is_matching('folded.listed_name', '.+_connector_[0-9]+_[0-9]+') }} as is_custom_connector,
        coalesce(rulings.is_listed, false) as is_listed,
        rulings.rule_id,
        rulings.rule_override,
        rulings.app,
        app_names.app_name,
        rulings.effective_from,
        rulings.effective_to

    from folded
    left join rulings on folded.listed_name = rulings.adapter_name
    left join app_names on rulings.app = app_names.app

),

named as (

    select
        adapter_name,
        rule_override,
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
        rule_override,
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
