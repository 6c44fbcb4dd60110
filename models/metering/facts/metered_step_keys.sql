{{ config(materialized='incremental', incremental_strategy='by_changed_job', meta={'is_dated_by_its_job': true}) }}

with

decisions as (

    select * from {{ ref('step_decisions') }}

),

-- Numbers in place of texts: writing the texts of a step takes ten times as long as deciding on it.
metered_step_keys as (

    select
        job_hash,
        line_index,
        usage_date,
        recipe_hash,
        {{ row_hash(['adapter_name', 'app', 'operation']) }} as operation_hash,
        {{ row_hash([
            'step_kind', 'metric', 'rule_id', 'rule_override', 'is_default_applied', 'is_count_missing', 'tasks',
            'task_rule_id', 'task_rule_override',
        ]) }} as ruling_hash,
        quantity
    from decisions

)

select * from metered_step_keys
