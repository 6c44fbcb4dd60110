{{ config(materialized='incremental', incremental_strategy='by_touched_month') }}

with

steps as (

    select
        *,
        cast(date_trunc('month', usage_date) as date) as usage_month
    from {{ ref('metered_steps') }}
    where {{ is_touched_month('usage_date') }}

),

monthly_rule_usage as (

    select
        customer_id,
        app,
        adapter_name,
        rule_id,
        metric,
        task_rule_id,
        is_default_applied,
        usage_month,
        cast(sum(quantity) as bigint) as quantity,
        cast(sum(tasks) as bigint) as tasks,
        count(*) as steps
    from steps
    group by usage_month, customer_id, app, adapter_name, rule_id, metric, task_rule_id, is_default_applied

)

select * from monthly_rule_usage
