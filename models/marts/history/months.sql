with

as_of as (

    select * from {{ ref('as_of') }}

),

created as (

    select created_at from {{ ref('customer_history') }}
    union all
    select created_at from {{ ref('recipe_history') }}
    union all
    select created_at from {{ ref('connection_history') }}

),

earliest as (

    select cast(date_trunc('month', {{ local_date('min(created_at)') }}) as date) as first_month
    from created

),

-- The tab looks six months back, whenever the first customer was created.
spine as (

    select
        as_of.as_of_date,
        as_of.as_of_month,
        {{ date_spine(
            "least(earliest.first_month, cast(as_of.as_of_month - interval '5' month as date))",
            'as_of.as_of_month',
            'month'
        ) }} as usage_month
    from as_of
    cross join earliest

),

ended as (

    select
        *,
        usage_month = as_of_month as is_current_month,
        least(
            cast(usage_month + interval '1' month - interval '1' day as date), as_of_date
        ) as last_date
    from spine

),

months as (

    select
        usage_month,
        last_date,
        {{ start_of_day_in_utc("cast(last_date + interval '1' day as date)") }} as ends_at,
        is_current_month,
        usage_month > cast(as_of_month - interval '6' month as date) as is_in_last_6_months
    from ended

)

select * from months
