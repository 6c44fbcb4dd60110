with

seats as (

    select * from {{ ref('stg_seats') }}

),

seat_rules as (

    select * from {{ ref('effective_seat_rules') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

-- An order is in force from its first day until the day before its end, or until the as-of date. least() ignores an
-- end that is null.
in_force as (

    select
        seats.customer_id,
        seats.product,
        seats.seats,
        {{ date_spine(
            'seats.effective_from',
            "least(cast(seats.effective_to - interval '1' day as date), as_of.as_of_date)",
            'day'
        ) }} as usage_date

    from seats
    cross join as_of

),

dated as (

    select
        *,
        {{ rule_date('usage_date') }} as rule_date
    from in_force

),

metered_seats as (

    select
        dated.customer_id,
        {{ is_admin_account('dated.customer_id') }} as is_admin,
        dated.usage_date,
        dated.product,
        seat_rules.metric,
        cast(sum(dated.seats) as bigint) as quantity,
        seat_rules.rule_id,
        seat_rules.rule_override,
        count(*) as orders

    from dated
    inner join seat_rules
        on
            dated.product = seat_rules.product
            and {{ is_in_force('seat_rules', 'dated.rule_date') }}
    group by
        dated.customer_id, dated.usage_date, dated.product, seat_rules.metric, seat_rules.rule_id,
        seat_rules.rule_override

)

select * from metered_seats
