{{ replaces('date') }}
{% set task_rules = ['t1', 't2', 't3'] %}

with

counts as (

    select * from {{ ref('daily_step_counts') }}

),

decisions as (

    select * from {{ ref('step_decisions') }}

),

recipes as (

    select * from {{ ref('job_recipes') }}

),

daily_usage as (

    select * from {{ ref('daily_usage') }}

),

requests as (

    select
        *,
        {{ rule_date(local_date('requested_at')) }} as rule_date,
        case
            when job_id is null and request_type in ('proxy', 'proxy_transformation') then 'proxy_request'
        end as task_unit
    from {{ ref('metered_requests') }}

),

workflow_task_units as (

    select * from {{ ref('workflow_task_units') }}

),

-- The measures of tasks that some terms bill.
task_measures as (

    select distinct
        counted_as,
        metric,
        task_rules
    from {{ ref('effective_terms') }}
    where task_rules is not null

),

-- Workflow tasks: C-WORKFLOW-TASK, C-WORKFLOW-TASK-ADDITIVE. Counts are added up by integer keys; texts are joined to
-- the few resulting rows.
tasks_of_steps as (

    select
        counts.usage_date,
        counts.recipe_hash,
        {% for rules in task_rules %}
            sum(counts.steps * decisions.tasks_{{ rules }}) as tasks_{{ rules }},
        {% endfor %}
        counts.asset_class = 'workflow' and coalesce(units.is_workflow_task, false) as is_workflow

    from counts
    inner join decisions on {{ is_decided_by('decisions', 'counts', 'counts') }}
    left join workflow_task_units as units on coalesce(decisions.metric, 'none') = units.unit
    group by counts.usage_date, counts.recipe_hash, is_workflow

),

counted as (

    select
        customer_id,
        usage_date,
        recipe_id,
        is_admin,
        metric as counted_as,
        call_type,
        quantity
    from daily_usage
    where metric <> 'tasks'

    union all

    select
        customer_id,
        usage_date,
        recipe_id,
        is_admin,
        'api_calls_over_mcp' as counted_as,
        call_type,
        quantity
    from {{ ref('calls_over_mcp') }}

    union all

    select
        recipes.customer_id,
        steps.usage_date,
        recipes.recipe_id,
        recipes.is_admin,
        task_measures.counted_as,
        cast(null as string) as call_type,
        case task_measures.task_rules
            {% for rules in task_rules %}
                when '{{ rules | upper }}' then steps.tasks_{{ rules }}
            {% endfor %}
        end as quantity
    from tasks_of_steps as steps
    inner join recipes on steps.recipe_hash = recipes.recipe_hash
    inner join task_measures on task_measures.metric = 'tasks' or steps.is_workflow

    union all

    -- A proxied request without a job is no recipe's (C-HVR).
    select
        requests.customer_id,
        requests.usage_date,
        cast(null as string) as recipe_id,
        requests.is_admin,
        task_measures.counted_as,
        cast(null as string) as call_type,
        rules.tasks as quantity
    from requests
    inner join {{ ref('effective_task_rules') }} as rules
        on
            requests.task_unit = rules.unit_kind
            and {{ is_in_force('rules', 'requests.rule_date') }}
    inner join task_measures on rules.task_terms = task_measures.task_rules
    left join workflow_task_units as units on requests.task_unit = units.unit
    where
        requests.metric is not null
        and (task_measures.metric = 'tasks' or coalesce(units.is_workflow_task, false))

),

daily_billable_usage as (

    select
        customer_id,
        usage_date,
        recipe_id,
        is_admin,
        counted_as,
        call_type,
        cast(sum(quantity) as bigint) as quantity
    from counted
    where usage_date is not null
    group by customer_id, usage_date, recipe_id, is_admin, counted_as, call_type
    having sum(quantity) > 0

)

select * from daily_billable_usage
