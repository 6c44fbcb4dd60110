with

months as (

    select * from {{ ref('months') }}

),

first_listings as (

    select
        'customers' as extract_name,
        min(valid_from) as first_listed_at
    from {{ ref('customer_history') }}

    union all

    select
        'recipes' as extract_name,
        min(valid_from) as first_listed_at
    from {{ ref('recipe_history') }}

    union all

    select
        'connections' as extract_name,
        min(valid_from) as first_listed_at
    from {{ ref('connection_history') }}

),

month_listings as (

    select
        months.usage_month,
        first_listings.extract_name,
        months.last_date,
        months.ends_at,
        greatest(months.ends_at, first_listings.first_listed_at) as snapshot_at,
        coalesce(months.ends_at < first_listings.first_listed_at, true) as is_reconstructed

    from months
    cross join first_listings

)

select * from month_listings
