{{ replaces('job') }}

with recursive

-- The scope has the callers and functions of each of its jobs. The engine does not push it into a recursion.
jobs as (

    select * from {{ ref('job_own_contexts') }}
    where {{ in_this_run('job') }}

),

contexts_by_call as (

    select * from {{ ref('effective_billing_contexts_by_call') }}

),

functions as (

    select * from jobs
    where is_function

),

-- Jobs that no job called: all jobs that are not functions, and functions without a caller.
roots as (

    select
        customer_id,
        job_id,
        own_context as billing_context
    from jobs
    where calling_job_id is null

),

-- Chains of calls start at calls by root jobs, and at asynchronous calls, which are a workflow whatever the caller.
-- A chain from an asynchronous call counts only in a cycle, which has no root.
first_calls as (

    select
        functions.customer_id,
        functions.job_id,
        by_call.billing_context,
        roots.billing_context as caller_context,
        1 as call_depth,
        true as is_from_root
    from roots
    inner join functions
        on
            roots.customer_id = functions.customer_id
            and roots.job_id = functions.calling_job_id
    inner join contexts_by_call as by_call
        on
            roots.billing_context = by_call.caller_context
            and functions.call_mode = by_call.call_mode
            and {{ is_in_force('by_call', 'functions.rule_date') }}

    union all

    select
        functions.customer_id,
        functions.job_id,
        by_call.billing_context,
        cast(null as string) as caller_context,
        cast(null as int) as call_depth,
        false as is_from_root
    from functions
    inner join contexts_by_call as by_call
        on
            functions.call_mode = by_call.call_mode
            and by_call.caller_context = 'workflow'
            and {{ is_in_force('by_call', 'functions.rule_date') }}
    where functions.call_mode = 'async'

),

-- Follows the calls. Each function has one caller, so a chain from a root ends. A chain in a cycle ends at the next
-- asynchronous call. One recursion for both, because an engine may compute the joined relations again at each step.
chain as (

    select * from first_calls

    union all

    select
        functions.customer_id,
        functions.job_id,
        by_call.billing_context,
        chain.billing_context as caller_context,
        chain.call_depth + 1 as call_depth,
        chain.is_from_root
    from chain
    inner join functions
        on
            chain.customer_id = functions.customer_id
            and chain.job_id = functions.calling_job_id
    inner join contexts_by_call as by_call
        on
            chain.billing_context = by_call.caller_context
            and functions.call_mode = by_call.call_mode
            and {{ is_in_force('by_call', 'functions.rule_date') }}
    where chain.is_from_root or functions.call_mode = 'sync'

),

reached as (

    select
        *,
        bool_or(is_from_root) over (partition by customer_id, job_id) as is_reached_from_root
    from chain

),

deciding_calls as (

    select * from reached
    where is_from_root or not is_reached_from_root

),

-- Functions that no chain reaches are orphans: in a cycle of synchronous calls, or called from one.
resolved as (

    select
        functions.*,
        deciding_calls.caller_context as chain_caller_context,
        coalesce(deciding_calls.billing_context, functions.own_context) as billing_context,
        coalesce(deciding_calls.call_depth, 0) as call_depth,
        functions.calling_job_id is not null and deciding_calls.call_depth is null as is_in_cycle,
        deciding_calls.job_id is not null as is_reached

    from functions
    left join deciding_calls
        on
            functions.customer_id = deciding_calls.customer_id
            and functions.job_id = deciding_calls.job_id

),

-- The caller's context decides the rule; the caller may have it from its own caller. A caller without a chain is itself
-- in a cycle, or called from one.
caller_contexts as (

    select
        resolved.*,
        coalesce(resolved.chain_caller_context, callers.billing_context) as caller_context

    from resolved
    left join resolved as callers
        on
            resolved.customer_id = callers.customer_id
            and case when resolved.is_in_cycle then resolved.calling_job_id end = callers.job_id

),

job_billing_contexts as (

    select
        jobs.job_hash,
        jobs.customer_id,
        jobs.job_id,
        jobs.recipe_type,
        jobs.own_metric,
        jobs.call_type,
        jobs.calling_job_id,
        jobs.call_mode,
        jobs.is_mixed_call,
        caller_contexts.caller_context,
        cast(coalesce(caller_contexts.call_depth, 0) as bigint) as call_depth,
        coalesce(caller_contexts.billing_context, jobs.own_context) as billing_context,
        case when caller_contexts.is_reached then by_call.rule_id else jobs.own_rule_id end as context_rule_id,
        coalesce(
            case when caller_contexts.is_reached then by_call.rule_override else jobs.own_override end,
            jobs.type_override
        ) as context_override,
        coalesce(caller_contexts.is_in_cycle, false) as is_in_cycle,
        jobs.is_function and jobs.calling_job_id is null as is_orphan

    from jobs
    left join caller_contexts
        on
            jobs.customer_id = caller_contexts.customer_id
            and jobs.job_id = caller_contexts.job_id
    left join contexts_by_call as by_call
        on
            caller_contexts.caller_context = by_call.caller_context
            and caller_contexts.call_mode = by_call.call_mode
            and {{ is_in_force('by_call', 'caller_contexts.rule_date') }}

)

select * from job_billing_contexts
