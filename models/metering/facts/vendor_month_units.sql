{{ replaces('month') }}
{% set metrics = reported_metrics() %}
{% set metrics_of_steps = ['tasks', 'business_actions', 'pages_processed', 'events_processed'] %}
{% set added_columns = [
    'steps_without_pages', 'steps_without_messages', 'jobs_not_counted', 'api_requests_without_job',
    'mcp_requests_without_job', 'steps_counted_by_default', 'steps_left_out_by_default',
] %}

with

reports as (

    select distinct
        customer_id,
        usage_month,
        extracted_at
    from {{ ref('stg_vendor_usage') }}

),

units as (

    select
        *,
        cast(date_trunc('month', usage_date) as date) as our_month,
        cast(date_trunc('month', vendor_date) as date) as vendor_month
    from {{ ref('dated_units') }}

),

-- A unit is in our month of it, and in the vendor's.
units_by_month as (

    select
        *,
        our_month as usage_month,
        true as is_ours,
        our_month = vendor_month as is_vendors
    from units

    union all

    select
        *,
        vendor_month as usage_month,
        false as is_ours,
        true as is_vendors
    from units
    where our_month <> vendor_month

),

reported_units as (

    select
        units.*,
        reports.extracted_at as reported_at,
        units.is_ours and units.happened_at > reports.extracted_at as is_late,
        units.is_ours and units.happened_at <= reports.extracted_at as is_ours_in_time,
        units.is_vendors and units.happened_at <= reports.extracted_at as is_left,
        units.is_job and units.is_vendors and units.happened_at <= reports.extracted_at as is_left_job

    from units_by_month as units
    inner join reports
        on
            units.customer_id = reports.customer_id
            and units.usage_month = reports.usage_month

),

added_up as (

    select
        usage_month,
        customer_id,
        reported_at,

        -- ours after the vendor's figure, ours until then, and the same in the vendor's month
        {% for metric in metrics %}
            sum({{ metric }}) filter (where is_late) as late_{{ metric }},
            coalesce(sum({{ metric }}) filter (where is_ours_in_time), 0) as early_{{ metric }},
            coalesce(sum({{ metric }}) filter (where is_left), 0) as left_{{ metric }},
        {% endfor %}

        -- tasks of jobs about which the platform says nothing, and of jobs about which it does
        {% for terms in ['t1', 't2', 't3'] %}
            sum(tasks - tasks_{{ terms }}) filter (where is_left and action_count is null) as tasks_not_{{ terms }},
        {% endfor %}
        sum(tasks - action_count) filter (where is_left_job and steps > 0) as tasks_not_counted_by_platform,
        sum(action_count) filter (where is_left_job and steps = 0) as actions_without_steps,

        -- what may be missing
        {% for metric in metrics_of_steps %}
            max({{ metric }}) filter (where is_left_job) as largest_{{ metric }},
        {% endfor %}
        {% for column in added_columns %}
            sum({{ column }}) filter (where is_left) as {{ column }},
        {% endfor %}
        count(*) filter (where is_left_job and steps = 0) as jobs_without_steps,
        count(*) filter (where is_left_job and steps = 0 and action_count is null) as jobs_without_steps_or_count

    from reported_units
    group by usage_month, customer_id, reported_at

),

-- Without such units a figure is null.
vendor_month_units as (

    select
        usage_month,
        customer_id,
        reported_at as extracted_at,
        {% for metric in metrics %}
            cast(early_{{ metric }} + coalesce(late_{{ metric }}, 0) as bigint) as our_{{ metric }},
            cast(late_{{ metric }} as bigint) as late_{{ metric }},
            cast(early_{{ metric }} - left_{{ metric }} as bigint) as zone_{{ metric }},
        {% endfor %}
        {% for metric in metrics_of_steps %}
            cast(largest_{{ metric }} as bigint) as largest_{{ metric }},
        {% endfor %}
        {% for column in added_columns %}
            cast({{ column }} as bigint) as {{ column }},
        {% endfor %}
        cast(tasks_not_t1 as bigint) as tasks_not_t1,
        cast(tasks_not_t2 as bigint) as tasks_not_t2,
        cast(tasks_not_t3 as bigint) as tasks_not_t3,
        cast(tasks_not_counted_by_platform as bigint) as tasks_not_counted_by_platform,
        cast(actions_without_steps as bigint) as actions_without_steps,
        cast(jobs_without_steps as bigint) as jobs_without_steps,
        cast(jobs_without_steps_or_count as bigint) as jobs_without_steps_or_count
    from added_up

)

select * from vendor_month_units
