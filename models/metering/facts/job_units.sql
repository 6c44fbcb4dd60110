{{ replaces('decided_job') }}
{% set metrics = usage_metrics() | reject('equalto', 'tasks') | list %}
{% set task_columns = ['tasks', 'tasks_t1', 'tasks_t2', 'tasks_t3'] %}
{% set step_columns = task_columns + ['workflow_tasks_t3'] %}

with

-- The engine does not push the run's scope below the sum: without these conditions each run adds up all steps.
facts as (

    select * from {{ ref('step_facts') }}
    where {{ in_this_run('decided_job') }}

),

jobs as (

    select * from {{ ref('metered_jobs') }}
    where {{ in_this_run('decided_job') }}

),

mcp_asset_jobs as (

    select * from {{ ref('mcp_asset_jobs') }}

),

-- The predicates that are counted.
decisions as (

    select
        decisions.*,
        coalesce(task_units.is_workflow_task, false) as is_workflow_task,
        decisions.rule_id = 'S-FAILED' as is_failed,
        decisions.rule_id in ('S-FAILED', 'S-CONTROL', 'S-SKIPPED') as is_not_successful,
        decisions.rule_id = 'S-CONTROL' as is_control,
        decisions.is_default_applied and decisions.metric is not null as is_counted_by_default,
        decisions.is_default_applied and decisions.metric is null as is_left_out_by_default
    from {{ ref('step_decisions') }} as decisions
    left join {{ ref('workflow_task_units') }} as task_units on coalesce(decisions.metric, 'none') = task_units.unit

),

steps as (

    select
        facts.job_hash,
        facts.line_index,
        decisions.metric,
        {% for column in task_columns %}
            decisions.{{ column }},
        {% endfor %}
        case
            when decisions.is_workflow_task and (jobs.job_class = 'workflow' or mcp_asset_jobs.job_hash is not null)
                then decisions.tasks_t3
            else 0
        end as workflow_tasks_t3,
        decisions.is_failed,
        decisions.is_not_successful,
        decisions.is_control,
        decisions.is_counted_by_default,
        decisions.is_left_out_by_default,
        {{ units_of_step('decisions', 'facts') }} as units

    from facts
    inner join jobs on facts.job_hash = jobs.job_hash
    inner join decisions on {{ is_decided_by('decisions', 'facts', 'jobs') }}
    left join mcp_asset_jobs on jobs.job_hash = mcp_asset_jobs.job_hash

),

-- What a job counts itself stands beside its steps, so that a job without steps has a row.
units as (

    select
        job_hash,
        true as is_step,
        line_index,
        metric,
        {% for column in step_columns %}
            {{ column }},
        {% endfor %}
        is_failed,
        is_not_successful,
        is_control,
        is_counted_by_default,
        is_left_out_by_default,
        units
    from steps

    union all

    select
        job_hash,
        false as is_step,
        cast(null as bigint) as line_index,
        metric,
        {% for column in step_columns %}
            cast(0 as bigint) as {{ column }},
        {% endfor %}
        false as is_failed,
        true as is_not_successful,
        false as is_control,
        false as is_counted_by_default,
        false as is_left_out_by_default,
        quantity as units
    from jobs

),

-- A missing or impossible count adds 0. It is never estimated.
job_units as (

    select
        job_hash,
        {% for column in step_columns %}
            cast(sum({{ column }}) as bigint) as {{ column }},
        {% endfor %}
        {% for metric in metrics %}
            cast(sum(case when metric = '{{ metric }}' and units > 0 then units else 0 end) as bigint) as {{ metric }},
        {% endfor %}

        -- what somebody should look at
        count(*) filter (where is_step) as steps,
        count(*) filter (where metric is not null and coalesce(units < 0, true)) as steps_without_count,
        count(*) filter (where metric = 'pages_processed' and coalesce(units < 0, true)) as steps_without_pages,
        count(*) filter (where metric = 'events_processed' and coalesce(units < 0, true)) as steps_without_messages,
        count(*) filter (where is_counted_by_default) as steps_counted_by_default,
        count(*) filter (where is_left_out_by_default) as steps_left_out_by_default,
        count(*) filter (where is_failed) as failed_steps,
        count(*) filter (where not is_not_successful) as other_steps,
        bool_or(is_control and line_index = 0) as is_trigger_control
    from units
    group by job_hash

)

select * from job_units
