{{ replaces('decided_job') }}
{% set metrics = [
    'business_actions', 'api_calls', 'pages_processed', 'events_processed', 'mcp_calls', 'genie_actions',
] %}
{% set task_columns = ['tasks', 'tasks_t1', 'tasks_t2', 'tasks_t3'] %}

with

facts as (

    select * from {{ ref('step_facts') }}

),

jobs as (

    select * from {{ ref('metered_jobs') }}

),

-- The predicates that are counted.
decisions as (

    select
        *,
        rule_id = 'S-FAILED' as is_failed,
        rule_id in ('S-FAILED', 'S-CONTROL', 'S-SKIPPED') as is_not_successful,
        rule_id = 'S-CONTROL' as is_control,
        is_default_applied and metric is not null as is_counted_by_default,
        is_default_applied and metric is null as is_left_out_by_default
    from {{ ref('step_decisions') }}

),

steps as (

    select
        facts.job_hash,
        facts.line_index,
        decisions.metric,
        {% for column in task_columns %}
            decisions.{{ column }},
        {% endfor %}
        decisions.is_failed,
        decisions.is_not_successful,
        decisions.is_control,
        decisions.is_counted_by_default,
        decisions.is_left_out_by_default,
        case decisions.quantity_from
            when 'page_count' then facts.page_count
            when 'message_count' then facts.message_count
            when 'one' then 1
        end as units

    from facts
    inner join jobs on facts.job_hash = jobs.job_hash
    inner join decisions on {{ is_decided_by('decisions', 'facts', 'jobs') }}

),

-- A missing or impossible count adds 0. It is never estimated.
added_up as (

    select
        job_hash,
        count(*) as steps,
        {% for column in task_columns %}
            sum({{ column }}) as {{ column }},
        {% endfor %}
        {% for metric in metrics %}
            sum(units) filter (where metric = '{{ metric }}' and units > 0) as {{ metric }},
        {% endfor %}
        count(*) filter (where metric is not null and coalesce(units < 0, true)) as steps_without_count,
        count(*) filter (where metric = 'pages_processed' and coalesce(units < 0, true)) as steps_without_pages,
        count(*) filter (where metric = 'events_processed' and coalesce(units < 0, true)) as steps_without_messages,
        count(*) filter (where is_counted_by_default) as steps_counted_by_default,
        count(*) filter (where is_left_out_by_default) as steps_left_out_by_default,
        count(*) filter (where is_failed) as failed_steps,
        count(*) filter (where not is_not_successful) as other_steps,
        coalesce(bool_or(line_index = 0 and is_control), false) as is_trigger_control
    from steps
    group by job_hash

),

job_units as (

    select
        jobs.job_hash,
        cast(coalesce(added_up.steps, 0) as bigint) as steps,

        -- its units: those of its steps, and its own
        {% for column in task_columns %}
            cast(coalesce(added_up.{{ column }}, 0) as bigint) as {{ column }},
        {% endfor %}
        {% for metric in metrics %}
            cast(
                coalesce(added_up.{{ metric }}, 0)
                + case when jobs.metric = '{{ metric }}' then jobs.quantity else 0 end
                as bigint
            ) as {{ metric }},
        {% endfor %}

        -- what somebody should look at
        cast(coalesce(added_up.steps_without_count, 0) as bigint) as steps_without_count,
        cast(coalesce(added_up.steps_without_pages, 0) as bigint) as steps_without_pages,
        cast(coalesce(added_up.steps_without_messages, 0) as bigint) as steps_without_messages,
        cast(coalesce(added_up.steps_counted_by_default, 0) as bigint) as steps_counted_by_default,
        cast(coalesce(added_up.steps_left_out_by_default, 0) as bigint) as steps_left_out_by_default,
        cast(coalesce(added_up.failed_steps, 0) as bigint) as failed_steps,
        cast(coalesce(added_up.other_steps, 0) as bigint) as other_steps,
        coalesce(added_up.is_trigger_control, false) as is_trigger_control

    from jobs
    left join added_up on jobs.job_hash = added_up.job_hash

)

select * from job_units
