with

rules as (

    select
        rule_id,
        cast(null as string) as rule_override
    from {{ ref('decision_rules') }}
    where decides = 'step'

    {% for rules in ['app_eligibility', 'operation_metrics', 'context_rules', 'control_keywords'] %}
        union

        select
            rule_id,
            rule_override
        from {{ ref('effective_' ~ rules) }}
        where rule_override is not null
    {% endfor %}

),

task_overrides as (

    select cast(null as string) as task_rule_override

    {% for rules in ['task_rules', 'call_operations'] %}
        union

        select rule_override as task_rule_override
        from {{ ref('effective_' ~ rules) }}
    {% endfor %}

),

kinds as (

    select unit_kind as step_kind
    from {{ ref('effective_task_rules') }}
    where unit_kind in ('trigger', 'action', 'control')
    group by unit_kind

),

step_metrics as (

    select metric from {{ ref('effective_operation_metrics') }}
    union
    select 'business_actions' as metric
    union
    select cast(null as string) as metric

),

flags as (

    select true as flag
    union all
    select false as flag

),

tasks_by_rule as (

    select
        rule_id as task_rule_id,
        cast(tasks as bigint) as tasks
    from {{ ref('effective_task_rules') }}
    union
    select
        rule_id as task_rule_id,
        cast(0 as bigint) as tasks
    from {{ ref('effective_task_rules') }}

),

-- Whatever could be decided on a step; what the rules really decide is a small part of it.
step_rulings as (

    select
        kinds.step_kind,
        step_metrics.metric,
        rules.rule_id,
        rules.rule_override,
        default_flags.flag as is_default_applied,
        missing_flags.flag as is_count_missing,
        tasks_by_rule.tasks,
        tasks_by_rule.task_rule_id,
        task_overrides.task_rule_override
    from kinds
    cross join step_metrics
    cross join rules
    cross join flags as default_flags
    cross join flags as missing_flags
    cross join tasks_by_rule
    cross join task_overrides

)

select
    {{ row_hash([
        'step_kind', 'metric', 'rule_id', 'rule_override', 'is_default_applied', 'is_count_missing', 'tasks',
        'task_rule_id', 'task_rule_override',
    ]) }} as ruling_hash,
    step_kind,
    metric,
    rule_id,
    rule_override,
    is_default_applied,
    is_count_missing,
    tasks,
    task_rule_id,
    task_rule_override
from step_rulings
