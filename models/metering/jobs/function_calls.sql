{{ replaces('job') }}

with

steps as (

    select * from {{ ref('described_steps') }}

),

jobs as (

    select * from {{ ref('job_recipe_types') }}

),

call_operations as (

    select * from {{ ref('effective_call_operations') }}

),

control_keywords as (

    select * from {{ ref('effective_control_keywords') }}

),

-- The operation of a call shows its mode, also if it failed. A skipped call was not made.
calls as (

    select
        jobs.job_hash,
        jobs.customer_id,
        jobs.job_id,
        steps.called_recipe_id,
        call_operations.call_mode

    from steps
    inner join jobs on steps.job_hash = jobs.job_hash
    inner join call_operations
        on
            steps.adapter_name = call_operations.adapter_name
            and steps.adapter_operation = call_operations.adapter_operation
            and {{ is_in_force('call_operations', 'jobs.rule_date') }}
    left join control_keywords
        on
            steps.keyword = control_keywords.keyword
            and {{ is_in_force('control_keywords', 'jobs.rule_date') }}
    where
        steps.called_recipe_id is not null
        and steps.outcome <> 'skipped'
        and control_keywords.keyword is null

),

-- If a caller called the same recipe in both modes, the calls count as synchronous.
function_calls as (

    select
        job_hash,
        customer_id,
        job_id as calling_job_id,
        called_recipe_id,
        case when bool_or(call_mode = 'sync') then 'sync' else 'async' end as call_mode,
        count(distinct call_mode) > 1 as is_mixed
    from calls
    group by job_hash, customer_id, job_id, called_recipe_id

)

select * from function_calls
