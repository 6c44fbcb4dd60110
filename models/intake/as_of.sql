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
        {%- endif %} as as_of_date,
        {{ local_date('extracted_at') }} as newest_date
    from newest_of_all

)

select
    as_of_date,
    cast(date_trunc('month', as_of_date) as date) as as_of_month,
    -- A day is over if something was extracted after it.
    case
        when newest_date > as_of_date then as_of_date
        else cast(as_of_date - interval '1' day as date)
    end as last_full_date
from as_of
