with

newest_of_all as (

    select max(newest_extracted_at) as extracted_at
    from {{ ref('delivery_totals') }}

),

as_of as (

    select
        {% if as_of_option() -%}
            cast({{ literal(as_of_option()) }} as date)
        {%- else -%}
            {{ local_date('extracted_at') }}
        {%- endif %} as as_of_date
    from newest_of_all

)

select
    as_of_date,
    cast(date_trunc('month', as_of_date) as date) as as_of_month
from as_of
