{{ replaces('job') }}

with

jobs as (

    select
        own_contexts.job_hash,
        own_contexts.customer_id,
        own_contexts.job_id,
        own_contexts.rule_date,
        own_contexts.recipe_type,
        own_contexts.is_called_over_mcp,
        contexts.billing_context,
        contexts.calling_job_id,
        contexts.call_mode
    from {{ ref('job_own_contexts') }} as own_contexts
    inner join {{ ref('job_billing_contexts') }} as contexts
        on
            own_contexts.customer_id = contexts.customer_id
            and own_contexts.job_id = contexts.job_id

),

mcp_assets as (

    select * from {{ ref('mcp_assets') }}

),

contexts_by_call as (

    select * from {{ ref('effective_billing_contexts_by_call') }}

),

invoked as (

    select jobs.job_hash
    from jobs
    inner join mcp_assets on jobs.recipe_type = mcp_assets.recipe_type
    where
        jobs.is_called_over_mcp
        and mcp_assets.billing_context = 'workflow'

),

-- A function that a workflow calls is a workflow, too.
calls as (

    select
        jobs.job_hash,
        {{ row_hash(['jobs.customer_id', 'jobs.calling_job_id']) }} as calling_job_hash
    from jobs
    inner join contexts_by_call as by_call
        on
            jobs.call_mode = by_call.call_mode
            and by_call.caller_context = 'workflow'
            and {{ is_in_force('by_call', 'jobs.rule_date') }}
    where
        jobs.calling_job_id is not null
        and jobs.billing_context <> 'workflow'
        and by_call.billing_context = 'workflow'

),

reached as (

    {{ transitive_closure('invoked', 'calls', 'job_hash', link_from='calling_job_hash', link_to='job_hash') }}

),

mcp_asset_jobs as (

    select
        jobs.job_hash,
        jobs.customer_id,
        jobs.job_id,
        jobs.recipe_type
    from jobs
    inner join reached on jobs.job_hash = reached.job_hash
    where jobs.billing_context <> 'workflow'

)

select * from mcp_asset_jobs
