{{ replaces('month') }}
{% set metrics = reported_metrics() %}
{% set measures = measures_of_units() %}

with

reports as (

    select distinct
        customer_id,
        usage_month,
        extracted_at
    from {{ ref('stg_vendor_usage') }}

),

days as (

    select
        *,
        cast(date_trunc('month', usage_date) as date) as our_month,
        cast(date_trunc('month', vendor_date) as date) as vendor_month
    from {{ ref('daily_units') }}
    where {{ in_affected('date_near_month') }}

),

-- A day is in our month of it, and in the vendor's.
days_by_month as (

    select
        *,
        our_month as usage_month,
        true as is_ours,
        our_month = vendor_month as is_vendors
    from days

    union all

    select
        *,
        vendor_month as usage_month,
        false as is_ours,
        true as is_vendors
    from days
    where our_month <> vendor_month

),

reported_days as (

    select
        by_month.*,
        reports.extracted_at as reported_at,
        by_month.first_happened_at <= reports.extracted_at
        and by_month.last_happened_at > reports.extracted_at as is_of_both

    from days_by_month as by_month
    inner join reports
        on
            by_month.customer_id = reports.customer_id
            and by_month.usage_month = reports.usage_month

),

-- On the day of a report some units are before it, and others after it: they count one by one.
days_of_both as (

    select * from reported_days
    where is_of_both

),

units as (

    select
        customer_id,
        usage_date,
        vendor_date,
        happened_at,
        {% for column, measure in measures.items() %}
            {{ measure.value }} as {{ column }},
        {% endfor %}
        {{ local_date('extracted_at') }} as arrived_on
    from {{ ref('dated_units') }}
    where
        customer_id in (select days_of_both.customer_id from days_of_both)
        and usage_date in (select days_of_both.usage_date from days_of_both)
        and {{ in_affected('date_near_month') }}

),

reported_units as (

    select
        usage_month,
        customer_id,
        reported_at,
        is_ours and first_happened_at > reported_at as is_late,
        is_ours and first_happened_at <= reported_at as is_ours_in_time,
        is_vendors and first_happened_at <= reported_at as is_left,
        {{ measures.keys() | join(', ') }}
    from reported_days
    where not is_of_both

    union all

    select
        days_of_both.usage_month,
        days_of_both.customer_id,
        days_of_both.reported_at,
        days_of_both.is_ours and units.happened_at > days_of_both.reported_at as is_late,
        days_of_both.is_ours and units.happened_at <= days_of_both.reported_at as is_ours_in_time,
        days_of_both.is_vendors and units.happened_at <= days_of_both.reported_at as is_left,
        units.{{ measures.keys() | join(', units.') }}
    from days_of_both
    inner join units
        on
            days_of_both.customer_id = units.customer_id
            and days_of_both.usage_date = units.usage_date
            and days_of_both.vendor_date = units.vendor_date
            and days_of_both.arrived_on = units.arrived_on

),

added_up as (

    select
        usage_month,
        customer_id,

        -- ours after the vendor's figure, ours until then, and the same in the vendor's month
        {% for metric in metrics %}
            sum({{ metric }}) filter (where is_late) as late_{{ metric }},
            coalesce(sum({{ metric }}) filter (where is_ours_in_time), 0) as early_{{ metric }},
            coalesce(sum({{ metric }}) filter (where is_left), 0) as left_{{ metric }},
        {% endfor %}
        {% for column, measure in measures.items() if column not in metrics %}
            {{ measure.function }}({{ column }}) filter (where is_left) as {{ column }},
        {% endfor %}
        reported_at

    from reported_units
    group by usage_month, customer_id, reported_at

),

-- Without such units a figure is null, and a number of jobs 0.
vendor_month_units as (

    select
        usage_month,
        customer_id,
        {% for metric in metrics %}
            cast(early_{{ metric }} + coalesce(late_{{ metric }}, 0) as bigint) as our_{{ metric }},
            cast(late_{{ metric }} as bigint) as late_{{ metric }},
            cast(early_{{ metric }} - left_{{ metric }} as bigint) as zone_{{ metric }},
        {% endfor %}
        {% for column in measures if column not in metrics %}
            cast({{ 'coalesce(%s, 0)' | format(column) if column.startswith('jobs_without') else column }} as bigint)
                as {{ column }},
        {% endfor %}
        reported_at as extracted_at
    from added_up

)

select * from vendor_month_units
