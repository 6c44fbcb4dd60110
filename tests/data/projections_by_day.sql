-- The macro projected_days against literal values: a projection is spread over the remaining days as the same weekdays
-- were used, and ends with the projection.
with

as_of as (

    select cast('2026-09-23' as date) as last_full_date

),

-- Thursdays weigh 4 x 10 + 3 x 20 = 100, Mondays 4 x 50 + 100 = 300. The last two are too old, and on no full day.
daily as (

    select
        usages.customer_id,
        'tasks' as metric,
        cast(usages.usage_date as date) as usage_date,
        cast(usages.quantity as bigint) as quantity
    from (
        values
        ('by weekday', '2026-09-17', 10),
        ('by weekday', '2026-09-10', 20),
        ('by weekday', '2026-09-21', 50),
        ('by weekday', '2026-08-31', 100),
        ('by day', '2026-09-21', 50),
        ('by weekday', '2026-08-26', 999),
        ('by weekday', '2026-09-24', 7)
    ) as usages (customer_id, usage_date, quantity)

),

forecasts as (

    select
        periods.customer_id,
        'tasks' as metric,
        cast('2026-09-01' as date) as period_from,
        cast(periods.period_to as date) as period_to,
        cast(periods.remaining_days as bigint) as remaining_days,
        periods.projected_by as method,
        cast(periods.used as bigint) as used,
        cast(periods.used_on_full_days as bigint) as used_on_full_days,
        cast(periods.projected as bigint) as projected
    from (
        values
        ('by weekday', '2026-10-02', 8, 'weekday_mean', 87, 80, 130),
        ('by day', '2026-09-27', 3, 'daily_mean', 50, 50, 60),
        ('nothing remains', '2026-09-24', 0, 'known', 50, 50, 50)
    ) as periods (customer_id, period_to, remaining_days, projected_by, used, used_on_full_days, projected)

),

found as (

    {{ projected_days('forecasts', 'daily', 'as_of') }}

),

-- 50 more over weights of 100, 0, 0, 0, 300, 0, 0, 100: 10 a hundred. What the first day has already counts.
expected as (

    select
        projections.customer_id,
        cast(projections.usage_date as date) as usage_date,
        projections.projected_by_then
    from (
        values
        ('by weekday', '2026-09-24', 90),
        ('by weekday', '2026-09-25', 90),
        ('by weekday', '2026-09-26', 90),
        ('by weekday', '2026-09-27', 90),
        ('by weekday', '2026-09-28', 120),
        ('by weekday', '2026-09-29', 120),
        ('by weekday', '2026-09-30', 120),
        ('by weekday', '2026-10-01', 130),
        ('by day', '2026-09-24', 53),
        ('by day', '2026-09-25', 57),
        ('by day', '2026-09-26', 60)
    ) as projections (customer_id, usage_date, projected_by_then)

)

select
    found.customer_id as found_customer,
    found.usage_date as found_date,
    found.projected_by_then as found,
    expected.customer_id,
    expected.usage_date,
    expected.projected_by_then
from found
full outer join expected
    on
        found.customer_id = expected.customer_id
        and found.usage_date = expected.usage_date
where found.projected_by_then is distinct from expected.projected_by_then
