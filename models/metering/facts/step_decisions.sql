with

steps as (

    select * from {{ ref('stg_steps') }}

),

metered_jobs as (

    select * from {{ ref('metered_jobs') }}

),

context_rules as (

    select * from {{ ref('effective_context_rules') }}

),

-- What is the same for all steps of a job is looked up once a job.
jobs as (

    select
        metered_jobs.*,
        context_rules.rule_id as steps_rule_id,
        context_rules.rule_override as steps_override

    from metered_jobs
    left join context_rules
        on
            metered_jobs.billing_context = context_rules.billing_context
            and {{ is_in_force('context_rules', 'metered_jobs.rule_date') }}

),

control_keywords as (

    select * from {{ ref('effective_control_keywords') }}

),

call_operations as (

    select * from {{ ref('effective_call_operations') }}

),

operation_metrics as (

    select * from {{ ref('effective_operation_metrics') }}

),

apps as (

    select * from {{ ref('apps') }}

),

task_rules as (

    select * from {{ ref('effective_task_rules') }}
    where task_terms = {{ literal(var('task_terms')) }}

),

-- Each step beside every rule row that speaks of it.
ruled as (

    select
        steps.job_hash,
        steps.customer_id,
        steps.job_id,
        steps.line_index,
        steps.adapter_name,
        steps.adapter_operation,
        steps.page_count,
        steps.message_count,

        jobs.recipe_id,
        jobs.environment_type,
        jobs.recipe_hash,
        jobs.usage_date,
        jobs.rule_date,
        jobs.billing_context,
        jobs.is_finished,
        jobs.is_excluded,

        apps.app,
        apps.rule_id as app_rule_id,
        apps.rule_override as app_override,
        apps.is_eligible,
        apps.is_default_ruling,
        jobs.steps_rule_id as context_rule_id,
        jobs.steps_override as context_override,
        control_keywords.rule_override as control_override,
        call_operations.rule_override as call_override,
        coalesce(own_operation.rule_id, any_other_operation.rule_id) as operation_rule_id,
        coalesce(own_operation.metric, any_other_operation.metric) as operation_metric,
        coalesce(own_operation.quantity_from, any_other_operation.quantity_from) as quantity_from,
        case
            when own_operation.rule_id is not null then own_operation.rule_override
            else any_other_operation.rule_override
        end as operation_override,

        steps.adapter_name is null or control_keywords.keyword is not null as is_control,
        steps.line_index = 0 as is_trigger,
        call_operations.call_mode is not null as is_call,
        steps.status = 'skipped' as is_skipped,
        coalesce(steps.status = 'succeeded', steps.error is null) as is_successful

    from steps
    inner join jobs
        on
            steps.customer_id = jobs.customer_id
            and steps.job_id = jobs.job_id
    left join control_keywords
        on
            lower(steps.keyword) = control_keywords.keyword
            and {{ is_in_force('control_keywords', 'jobs.rule_date') }}
    left join call_operations
        on
            steps.adapter_name = call_operations.adapter_name
            and steps.adapter_operation = call_operations.adapter_operation
            and {{ is_in_force('call_operations', 'jobs.rule_date') }}
    left join operation_metrics as own_operation
        on
            steps.adapter_name = own_operation.adapter_name
            and steps.adapter_operation = own_operation.adapter_operation
            and {{ is_in_force('own_operation', 'jobs.rule_date') }}
    left join operation_metrics as any_other_operation
        on
            steps.adapter_name = any_other_operation.adapter_name
            and any_other_operation.adapter_operation is null
            and {{ is_in_force('any_other_operation', 'jobs.rule_date') }}
    left join apps
        on
            steps.adapter_name = apps.adapter_name
            and {{ is_in_force('apps', 'jobs.rule_date') }}

),

-- The first rule that applies decides.
decided as (

    select
        *,
        case
            when is_control then 'control'
            when is_trigger then 'trigger'
            else 'action'
        end as step_kind,
        case
            when not is_finished then 'S-PENDING'
            when is_excluded then 'S-TEST'
            when is_control then 'S-CONTROL'
            when is_skipped then 'S-SKIPPED'
            when not is_successful then 'S-FAILED'
            else coalesce(operation_rule_id, context_rule_id, app_rule_id)
        end as rule_id,
        case
            when not is_finished or is_excluded then null
            when is_control then control_override
            when is_skipped or not is_successful then null
            when operation_rule_id is not null then operation_override
            when context_rule_id is not null then context_override
            else app_override
        end as rule_override,
        is_finished and not is_excluded and not is_control and is_successful as is_executed

    from ruled

),

quantified as (

    select
        *,
        is_executed and operation_rule_id is null and context_rule_id is null as is_decided_by_app,
        case
            when not is_executed then null
            when operation_rule_id is not null then operation_metric
            when context_rule_id is null and is_eligible then 'business_actions'
        end as metric,
        case
            when quantity_from = 'page_count' then page_count
            when quantity_from = 'message_count' then message_count
            else 1
        end as units

    from decided

),

-- A count that is missing, or can't be meant, stays 0 and is flagged: never guessed.
measured as (

    select
        quantified.*,
        task_rules.rule_id as task_rule_id,
        cast(
            case when quantified.metric is not null and quantified.units > 0 then quantified.units else 0 end as bigint
        ) as quantity,
        cast(case when quantified.is_executed then task_rules.tasks else 0 end as bigint) as tasks,
        coalesce(
            task_rules.rule_override, case when quantified.step_kind = 'action' then quantified.call_override end
        ) as task_rule_override,
        quantified.is_decided_by_app and quantified.is_default_ruling as is_default_applied,
        quantified.metric is not null and coalesce(quantified.units < 0, true) as is_count_missing

    from quantified
    left join task_rules
        on
            case
                when quantified.step_kind = 'action' and quantified.is_call then 'call'
                else quantified.step_kind
            end = task_rules.unit_kind
            and {{ is_in_force('task_rules', 'quantified.rule_date') }}

),

step_decisions as (

    select
        -- ids
        job_hash,
        customer_id,
        job_id,
        line_index,
        recipe_id,
        environment_type,
        recipe_hash,
        usage_date,

        -- what it is
        adapter_name,
        app,
        adapter_operation as operation,
        step_kind,
        billing_context,

        -- the decision
        metric,
        quantity,
        rule_id,
        rule_override,
        is_default_applied,
        is_count_missing,

        -- the same work in tasks
        tasks,
        task_rule_id,
        task_rule_override

    from measured

)

select * from step_decisions
