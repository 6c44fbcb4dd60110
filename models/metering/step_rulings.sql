with

rules as (

    select rule_id
    from {{ ref('decision_rules') }}
    where decides = 'step'

),

kinds as (

    select unit_kind as step_kind
    from {{ ref('task_rules') }}
    where unit_kind in ('trigger', 'action', 'control')
    group by unit_kind

),

step_metrics as (

    select metric from {{ ref('operation_metrics') }}
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
    from {{ ref('task_rules') }}
    union
    select
        rule_id as task_rule_id,
        cast(0 as bigint) as tasks
    from {{ ref('task_rules') }}

),

-- Whatever could be decided on a step; what the rules really decide is a small part of it.
step_rulings as (

    select
        kinds.step_kind,
        step_metrics.metric,
        rules.rule_id,
        default_flags.flag as is_default_applied,
        missing_flags.flag as is_count_missing,
        tasks_by_rule.tasks,
        tasks_by_rule.task_rule_id
    from kinds
    cross join step_metrics
    cross join rules
    cross join flags as default_flags
    cross join flags as missing_flags
    cross join tasks_by_rule

)

select
    {{ row_hash([
        'step_kind', 'metric', 'rule_id', 'is_default_applied', 'is_count_missing', 'tasks', 'task_rule_id',
    ]) }} as ruling_hash,
    step_kind,
    metric,
    rule_id,
    is_default_applied,
    is_count_missing,
    tasks,
    task_rule_id
from step_rulings
