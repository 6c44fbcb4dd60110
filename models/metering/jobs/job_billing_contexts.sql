{{ replaces('job') }}

with recursive

jobs as (

    select
        typed_jobs.job_hash,
        typed_jobs.customer_id,
        typed_jobs.job_id,
        typed_jobs.recipe_id,
        typed_jobs.recipe_type,
        typed_jobs.type_override,
        typed_jobs.rule_date,
        jobs.calling_job_id,
        jobs.root_recipe_id
    from {{ ref('job_recipe_types') }} as typed_jobs
    inner join {{ ref('stg_jobs') }} as jobs
        on
            typed_jobs.customer_id = jobs.customer_id
            and typed_jobs.job_id = jobs.job_id

),

requests as (

    select * from {{ ref('stg_api_requests') }}

),

collections as (

    select * from {{ ref('stg_api_collections') }}
    where is_current

),

function_calls as (

    select * from {{ ref('function_calls') }}

),

recipe_types_listed as (

    select * from {{ ref('recipe_types_listed') }}

),

contexts_by_type as (

    select * from {{ ref('effective_billing_contexts_by_recipe_type') }}

),

contexts_by_call as (

    select * from {{ ref('effective_billing_contexts_by_call') }}

),

mcp_jobs as (

    select distinct
        requests.customer_id,
        requests.job_id
    from requests
    inner join collections
        on
            requests.customer_id = collections.customer_id
            and requests.api_collection_id = collections.api_collection_id
    where collections.is_mcp_server

),

-- Every recipe type but the function's has a context of its own; behind an MCP server another one.
typed as (

    select
        jobs.*,
        coalesce(via_mcp.billing_context, direct.billing_context) as own_context,
        coalesce(via_mcp.rule_id, direct.rule_id) as own_rule_id,
        case when via_mcp.rule_id is not null then via_mcp.rule_override else direct.rule_override end as own_override,
        coalesce(via_mcp.metric, direct.metric) as own_metric,
        case when via_mcp.rule_id is null then direct.call_type end as call_type,
        direct.billing_context is null as is_function

    from jobs
    left join contexts_by_type as direct
        on
            jobs.recipe_type = direct.recipe_type
            and not direct.is_mcp
            and {{ is_in_force('direct', 'jobs.rule_date') }}
    left join mcp_jobs
        on
            jobs.customer_id = mcp_jobs.customer_id
            and jobs.job_id = mcp_jobs.job_id
    left join contexts_by_type as via_mcp
        on
            case when mcp_jobs.job_id is not null then jobs.recipe_type end = via_mcp.recipe_type
            and via_mcp.is_mcp
            and {{ is_in_force('via_mcp', 'jobs.rule_date') }}

),

-- A function's caller is the job it names, of the same account, if that job's steps show a call to it.
functions as (

    select
        typed.job_hash,
        typed.customer_id,
        typed.job_id,
        typed.rule_date,
        typed.recipe_type,
        typed.type_override,
        typed.own_metric,
        typed.call_type,
        function_calls.calling_job_id,
        function_calls.call_mode,
        by_root.rule_override as orphan_override,
        coalesce(function_calls.is_mixed, false) as is_mixed_call,
        coalesce(by_root.orphan_function_context, 'workflow') as orphan_context

    from typed
    left join function_calls
        on
            typed.customer_id = function_calls.customer_id
            and typed.calling_job_id = function_calls.calling_job_id
            and typed.recipe_id = function_calls.called_recipe_id
    left join recipe_types_listed as root_recipes
        on
            typed.customer_id = root_recipes.customer_id
            and typed.root_recipe_id = root_recipes.recipe_id
    left join contexts_by_type as by_root
        on
            root_recipes.recipe_type = by_root.recipe_type
            and not by_root.is_mcp
            and {{ is_in_force('by_root', 'typed.rule_date') }}
    where typed.is_function

),

-- Jobs that no job called: whatever is no function, and functions without a caller.
roots as (

    select
        customer_id,
        job_id,
        own_context as billing_context
    from typed
    where not is_function

    union all

    select
        customer_id,
        job_id,
        orphan_context as billing_context
    from functions
    where calling_job_id is null

),

-- Where ways begin: at the calls by jobs that no job called; and at asynchronous calls, which are a workflow whatever
-- the caller. In a cycle nobody called first: there, and only there, the way from an asynchronous call is what counts.
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

-- Down the calls. Each function has one caller, so a chain ends; a cycle has no root, and the way through it ends at
-- the next asynchronous call. One recursion for both: what it joins may be computed again at each step.
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

settled as (

    select * from reached
    where is_from_root or not is_reached_from_root

),

-- What no way reached is a cycle of synchronous calls, or hangs on one: orphans.
resolved as (

    select
        functions.*,
        settled.caller_context as settled_caller_context,
        coalesce(settled.billing_context, functions.orphan_context) as billing_context,
        coalesce(settled.call_depth, 0) as call_depth,
        functions.calling_job_id is null as is_orphan,
        functions.calling_job_id is not null and settled.call_depth is null as is_in_cycle,
        settled.job_id is null as is_unsettled

    from functions
    left join settled
        on
            functions.customer_id = settled.customer_id
            and functions.job_id = settled.job_id

),

-- The rule is the one of the caller's context, which may itself have come down the chain. A caller that is not known
-- from there is in a cycle, too, or hangs on one.
called as (

    select
        resolved.*,
        coalesce(resolved.settled_caller_context, callers.billing_context) as caller_context

    from resolved
    left join resolved as callers
        on
            resolved.customer_id = callers.customer_id
            and case when resolved.is_in_cycle then resolved.calling_job_id end = callers.job_id

),

job_billing_contexts as (

    select
        job_hash,
        customer_id,
        job_id,
        recipe_type,
        own_context as billing_context,
        own_metric,
        call_type,
        cast(null as string) as calling_job_id,
        cast(null as string) as call_mode,
        cast(null as string) as caller_context,
        cast(0 as bigint) as call_depth,
        false as is_in_cycle,
        own_rule_id as context_rule_id,
        coalesce(own_override, type_override) as context_override,
        false as is_orphan,
        false as is_mixed_call
    from typed
    where not is_function

    union all

    select
        called.job_hash,
        called.customer_id,
        called.job_id,
        called.recipe_type,
        called.billing_context,
        called.own_metric,
        called.call_type,
        called.calling_job_id,
        called.call_mode,
        called.caller_context,
        cast(called.call_depth as bigint) as call_depth,
        called.is_in_cycle,
        case when called.is_unsettled then 'J-FN-ORPHAN' else by_call.rule_id end as context_rule_id,
        coalesce(
            case when called.is_unsettled then called.orphan_override else by_call.rule_override end,
            called.type_override
        ) as context_override,
        called.is_orphan,
        called.is_mixed_call

    from called
    left join contexts_by_call as by_call
        on
            called.caller_context = by_call.caller_context
            and called.call_mode = by_call.call_mode
            and {{ is_in_force('by_call', 'called.rule_date') }}

)

select * from job_billing_contexts
