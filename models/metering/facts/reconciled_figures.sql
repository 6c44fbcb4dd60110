{% set metrics = reported_metrics() %}
{% set metrics_of_steps = ['tasks', 'business_actions', 'pages_processed', 'events_processed'] %}
{% set our, late, zone, largest = {}, {}, {}, {} %}
{% for metric in metrics %}
    {% do our.update({metric: 'our_' ~ metric}) %}
    {% do late.update({metric: 'late_' ~ metric}) %}
    {% do zone.update({metric: 'zone_' ~ metric}) %}
    {% if metric in metrics_of_steps %}{% do largest.update({metric: 'largest_' ~ metric}) %}{% endif %}
{% endfor %}
with

figures as (

    select
        *,
        {{ is_admin_account('customer_id') }} as is_admin,
        case when not {{ is_admin_account('customer_id') }} then customer_id end as customer_with_units
    from {{ ref('stg_vendor_usage') }}

),

-- The newest delivery of work.
newest as (

    select max(newest_extracted_at) as extracted_at
    from {{ ref('delivery_totals') }}
    where extract_name in ('jobs', 'job_history', 'api_requests', 'event_stream_requests', 'genie_prompts')

),

measured as (

    select
        figures.usage_month,
        figures.customer_id,
        figures.metric,
        figures.extracted_at,
        figures.is_admin,
        figures.is_contradicted,
        figures.quantity as vendor_quantity,
        {{ of_metric(our) }} as our_quantity,
        newest.extracted_at < {{ start_of_day_in_utc(
            "cast(figures.usage_month + interval '1' month as date)", vendor_timezone()
        ) }}
        and newest.extracted_at < figures.extracted_at as is_not_yet_delivered,

        -- exact causes
        case when figures.is_admin then -figures.quantity else 0 end as admin_account,
        {{ of_metric(late) }} as completed_after_figure,
        {{ of_metric(zone) }} as time_zone,
        {{ of_metric({'tasks': 'tasks_not_' ~ vendor_task_terms() | lower}) }} as task_rules,
        {{ of_metric({'tasks': 'tasks_not_counted_by_platform'}) }} as platform_count,
        -1 * {{ of_metric({'tasks': 'actions_without_steps'}) }} as jobs_without_lines,

        -- the most that inferred causes explain
        {{ of_metric(largest) }} as largest,
        {{ of_metric({
            'tasks': 'jobs_without_steps_or_count', 'business_actions': 'jobs_without_steps',
            'pages_processed': 'jobs_without_steps', 'events_processed': 'jobs_without_steps',
        }) }} as jobs_maybe_counted,
        {{ of_metric({
            'pages_processed': 'steps_without_pages', 'events_processed': 'steps_without_messages',
        }) }} as steps_without_count,
        {{ of_metric({
            'api_calls': 'api_requests_without_job', 'mcp_calls': 'mcp_requests_without_job',
        }) }} as requests_without_job,
        {{ of_metric({'jobs_failed': 'jobs_not_counted'}) }} as jobs_not_counted,
        {{ of_metric({'business_actions': 'steps_counted_by_default'}) }} as steps_counted_by_default,
        {{ of_metric({'business_actions': 'steps_left_out_by_default'}) }} as steps_left_out_by_default

    from figures
    cross join newest
    left join {{ ref('vendor_month_units') }} as units
        on
            figures.usage_month = units.usage_month
            and figures.customer_with_units = units.customer_id
            and figures.extracted_at = units.extracted_at

),

reconciled_figures as (

    select
        *,
        our_quantity <> vendor_quantity as is_different,
        our_quantity - vendor_quantity - admin_account - completed_after_figure - time_zone - task_rules
        - platform_count - jobs_without_lines as left_by_exact_causes
    from measured

)

select * from reconciled_figures
