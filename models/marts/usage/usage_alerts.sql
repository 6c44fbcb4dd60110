with

as_of as (

    select * from {{ ref('as_of') }}

),

current_periods as (

    select periods.*
    from {{ ref('billing_periods') }} as periods
    cross join as_of
    where {{ is_in_period('periods', 'as_of.as_of_date') }}

),

changes as (

    select * from {{ ref('usage_changes') }}

),

usage_alerts as (

    select
        customer_id,
        case when exceeded_on is null then 'will_exceed' else 'exceeded' end as reason,
        measure as metric,
        projected_exceeds_on as dated_on,
        cast(
            {{ amount('used_of_allowance') }}
            + case
                when exceeded_on is null then {{ amount('projected_used') }} - {{ amount('used') }}
                else 0
            end as decimal(38, 9)
        ) as quantity,
        allowance as bound
    from current_periods
    where projected_exceeds_on is not null

    union all

    select
        customer_id,
        'jumped' as reason,
        metric,
        cast(period_to - interval '1' day as date) as dated_on,
        cast(quantity as decimal(38, 9)) as quantity,
        cast(usual_high as decimal(38, 9)) as bound
    from changes
    where change = 'jumped'

    union all

    select
        customer_id,
        'went_quiet' as reason,
        cast(null as string) as metric,
        max(last_used_on) as dated_on,
        cast(0 as decimal(38, 9)) as quantity,
        cast(null as decimal(38, 9)) as bound
    from changes
    where change = 'went_quiet'
    group by customer_id

)

select * from usage_alerts
