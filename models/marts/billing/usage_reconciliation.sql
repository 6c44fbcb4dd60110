{% set causes = [
    ('admin_account', 'admin_account', true), ('completed_after_figure', 'completed_after_figure', true),
    ('time_zone', 'time_zone', true), ('task_rules', 'task_rules', true), ('platform_count', 'platform_count', true),
    ('jobs_without_lines', 'jobs_without_lines', true), ('job_status_differs', 'job_status_differs', false),
    ('api_or_mcp', 'api_or_mcp', false), ('jobs_without_lines', 'jobs_maybe_without_lines', false),
    ('count_missing', 'count_missing', false), ('not_yet_delivered', 'not_yet_delivered', false),
    ('request_job_missing', 'request_job_missing', false),
    ('canceled_or_poll_error', 'canceled_or_poll_error', false), ('jobs_missing', 'jobs_missing', false),
    ('decided_by_default', 'decided_by_default', false), ('unexplained', 'left_8', false),
] %}
{#- Inferred causes in their order, each with the most that it can explain. -#}
{% set limited_causes = [
    ('jobs_maybe_without_lines', 'jobs_maybe_counted * largest'),
    ('count_missing', 'case when steps_without_count > 0 then -left_2 else 0 end'),
    ('not_yet_delivered', 'case when is_not_yet_delivered then -left_3 else 0 end'),
    ('request_job_missing', 'requests_without_job'),
    ('canceled_or_poll_error', 'jobs_not_counted'),
] %}

with

-- One report of a customer and month has one time: only its figures are compared with each other.
figures as (

    select
        *,
        {{ of_report("case when is_different and metric = 'jobs_succeeded' then left_by_exact_causes end") }}
            as succeeded_left,
        {{ of_report("case when is_different and metric = 'jobs_failed' then left_by_exact_causes end") }}
            as failed_left,
        {{ of_report("case when is_different and metric = 'api_calls' then left_by_exact_causes end") }} as api_left,
        {{ of_report("case when is_different and metric = 'mcp_calls' then left_by_exact_causes end") }} as mcp_left
    from {{ ref('reconciled_figures') }}

),

-- Two figures of which one is too high and the other too low: a unit is in the other one.
exchanged as (

    select
        *,
        case
            when not is_different then 0
            when metric in ('jobs_succeeded', 'jobs_failed') and succeeded_left * failed_left < 0
                then sign(left_by_exact_causes) * least(abs(succeeded_left), abs(failed_left))
            else 0
        end as job_status_differs,
        case
            when not is_different then 0
            when metric in ('api_calls', 'mcp_calls') and api_left * mcp_left < 0
                then sign(left_by_exact_causes) * least(abs(api_left), abs(mcp_left))
            else 0
        end as api_or_mcp
    from figures

),

-- Each cause explains at most what the earlier ones left, and nothing if ours equals the vendor's.
after_exchanges as (

    select
        *,
        case when is_different then left_by_exact_causes - job_status_differs - api_or_mcp else 0 end as left_1
    from exchanged

),

{% for cause, limit in limited_causes %}
    {% set left_over = 'left_' ~ loop.index %}
    after_{{ cause }} as (

        select
            *,
            {{ explained(left_over, limit) }} as {{ cause }},
            {{ left_over }} - {{ explained(left_over, limit) }} as left_{{ loop.index + 1 }}
        from after_{{ loop.previtem[0] if loop.previtem else 'exchanges' }}

    ),
{% endfor %}

with_missing_jobs as (

    select
        *,
        coalesce({{ of_report("case when metric = 'jobs_succeeded' then greatest(-left_6, 0) end") }}, 0)
            as missing_succeeded,
        coalesce({{ of_report("case when metric = 'jobs_failed' then greatest(-left_6, 0) end") }}, 0)
            as missing_failed,
        coalesce({{ of_report("case when metric = 'api_calls' then greatest(-left_6, 0) end") }}, 0)
            as missing_api_calls,
        coalesce({{ of_report("case when metric = 'api_calls' then -request_job_missing end") }}, 0)
        + coalesce({{ of_report("case when metric = 'mcp_calls' then -request_job_missing end") }}, 0)
            as calls_explained
    from after_{{ limited_causes[-1][0] }}

),

-- The most that missing jobs explain. Calls share the missing succeeded jobs, API calls first.
limited as (

    select
        *,
        case metric
            when 'jobs_succeeded' then missing_succeeded
            when 'jobs_failed' then missing_failed
            when 'api_calls' then greatest(missing_succeeded - calls_explained, 0)
            when 'mcp_calls' then greatest(missing_succeeded - calls_explained - missing_api_calls, 0)
            else (missing_succeeded + missing_failed) * largest
        end as missing_units
    from with_missing_jobs

),

after_missing_jobs as (

    select
        *,
        {{ explained('left_6', 'missing_units') }} as jobs_missing,
        left_6 - {{ explained('left_6', 'missing_units') }} as left_7
    from limited

),

after_defaults as (

    select
        *,
        case
            when left_7 > 0 then least(left_7, steps_counted_by_default)
            else {{ explained('left_7', 'steps_left_out_by_default') }}
        end as decided_by_default
    from after_missing_jobs

),

explained_figures as (

    select
        *,
        case when is_different then left_7 - decided_by_default else left_by_exact_causes end as left_8
    from after_defaults

),

usage_reconciliation as (
    {% for cause, column, is_exact in causes %}
        select
            usage_month,
            customer_id,
            metric,
            '{{ cause }}' as cause,
            {{ 'true' if is_exact else 'false' }} as is_exact,
            cast({{ column }} as bigint) as quantity,
            cast(our_quantity as bigint) as our_quantity,
            vendor_quantity
        from explained_figures
        {{ "where " ~ column ~ " <> 0" if cause != 'unexplained' }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from usage_reconciliation
