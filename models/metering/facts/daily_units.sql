{{ replaces('date') }}

with

units as (

    select
        *,
        {{ local_date('extracted_at') }} as arrived_on
    from {{ ref('dated_units') }}
    where {{ in_affected('date') }}

),

daily_units as (

    select
        usage_date,
        vendor_date,
        customer_id,
        arrived_on,
        {% for column, measure in measures_of_units().items() %}
            cast({{ measure.function }}({{ measure.value }}) as bigint) as {{ column }},
        {% endfor %}
        min(happened_at) as first_happened_at,
        max(happened_at) as last_happened_at
    from units
    group by usage_date, vendor_date, customer_id, arrived_on

)

select * from daily_units
