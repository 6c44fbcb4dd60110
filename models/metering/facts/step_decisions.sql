{% set all_terms, own_terms = ['t1', 't2', 't3'], var('task_terms') | lower %}

with

profiles as (

    select * from {{ ref('occurring_profiles') }}

),

context_rules as (

    select * from {{ ref('effective_context_rules') }}

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

),

-- Each profile with every rule row that applies to it. No rule changes within its period.
ruled as (

    select
        profiles.*,

        apps.app,
        apps.rule_id as app_rule_id,
        apps.rule_override as app_override,
        apps.is_eligible,
        apps.is_default_ruling,
        context_rules.rule_id as context_rule_id,
        context_rules.rule_override as context_override,
        control_keywords.rule_override as control_override,
        call_operations.rule_override as call_override,
        coalesce(own_operation.rule_id, any_other_operation.rule_id) as operation_rule_id,
        coalesce(own_operation.metric, any_other_operation.metric) as operation_metric,
        coalesce(own_operation.quantity_from, any_other_operation.quantity_from) as operation_quantity_from,
        case
            when own_operation.rule_id is not null then own_operation.rule_override
            else any_other_operation.rule_override
        end as operation_override,

        profiles.adapter_name is null or control_keywords.keyword is not null as is_control,
        call_operations.call_mode is not null as is_call,
        profiles.job_class = 'unfinished job' as is_pending,
        profiles.job_class = 'excluded job' as is_excluded,
        profiles.outcome = 'skipped' as is_skipped,
        profiles.outcome = 'succeeded' as is_successful

    from profiles
    left join context_rules
        on
            profiles.job_class = context_rules.billing_context
            and {{ is_in_force('context_rules', 'profiles.effective_from') }}
    left join control_keywords
        on
            profiles.keyword = control_keywords.keyword
            and {{ is_in_force('control_keywords', 'profiles.effective_from') }}
    left join call_operations
        on
            profiles.adapter_name = call_operations.adapter_name
            and profiles.adapter_operation = call_operations.adapter_operation
            and {{ is_in_force('call_operations', 'profiles.effective_from') }}
    left join operation_metrics as own_operation
        on
            profiles.adapter_name = own_operation.adapter_name
            and profiles.adapter_operation = own_operation.adapter_operation
            and {{ is_in_force('own_operation', 'profiles.effective_from') }}
    left join operation_metrics as any_other_operation
        on
            profiles.adapter_name = any_other_operation.adapter_name
            and any_other_operation.adapter_operation is null
            and {{ is_in_force('any_other_operation', 'profiles.effective_from') }}
    left join apps
        on
            profiles.adapter_name = apps.adapter_name
            and {{ is_in_force('apps', 'profiles.effective_from') }}

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
            when is_pending then 'S-PENDING'
            when is_excluded then 'S-TEST'
            when is_control then 'S-CONTROL'
            when is_skipped then 'S-SKIPPED'
            when not is_successful then 'S-FAILED'
            else coalesce(operation_rule_id, context_rule_id, app_rule_id)
        end as rule_id,
        case
            when is_pending or is_excluded then null
            when is_control then control_override
            when not is_successful then null
            when operation_rule_id is not null then operation_override
            when context_rule_id is not null then context_override
            else app_override
        end as rule_override,
        not is_pending and not is_excluded and not is_control and is_successful as is_executed

    from ruled

),

counted as (

    select
        *,
        is_executed and operation_rule_id is null and context_rule_id is null as is_decided_by_app,
        case when step_kind = 'action' and is_call then 'call' else step_kind end as task_unit,
        case
            when not is_executed then null
            when operation_rule_id is not null then operation_metric
            when context_rule_id is null and is_eligible then 'business_actions'
        end as metric

    from decided

),

step_decisions as (

    select
        -- what the decision is about
        counted.profile_id,
        counted.job_class,
        counted.effective_from,
        counted.effective_to,
        counted.adapter_name,
        counted.app,
        counted.adapter_operation as operation,
        counted.step_kind,

        -- the decision, and the same work in tasks
        counted.metric,
        counted.rule_id,
        counted.rule_override,
        {{ own_terms }}.rule_id as task_rule_id,
        cast(
            row_number() over (order by counted.profile_id, counted.job_class, counted.effective_from) as int
        ) as decision_id,
        cast(case when counted.is_executed then {{ own_terms }}.tasks else 0 end as bigint) as tasks,
        {% for terms in all_terms %}
            cast(case when counted.is_executed then {{ terms }}.tasks else 0 end as bigint) as tasks_{{ terms }},
        {% endfor %}
        case
            when counted.metric is not null then coalesce(counted.operation_quantity_from, 'one')
        end as quantity_from,
        coalesce(
            {{ own_terms }}.rule_override, case when counted.step_kind = 'action' then counted.call_override end
        ) as task_rule_override,
        counted.is_decided_by_app and counted.is_default_ruling as is_default_applied

    from counted
    {% for terms in all_terms %}
        left join task_rules as {{ terms }}
            on
                counted.task_unit = {{ terms }}.unit_kind
                and {{ terms }}.task_terms = '{{ terms | upper }}'
                and {{ is_in_force(terms, 'counted.effective_from') }}
    {% endfor %}

)

select * from step_decisions
