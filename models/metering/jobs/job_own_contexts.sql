{{ replaces('job') }}

with

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

-- Every recipe type except function has its own context, and a different one behind an MCP server.
own_types as (

    select
        jobs.*,
        coalesce(via_mcp.billing_context, direct.billing_context) as type_context,
        coalesce(via_mcp.rule_id, direct.rule_id) as type_rule_id,
        case
            when via_mcp.rule_id is not null then via_mcp.rule_override else direct.rule_override
        end as rule_override,
        coalesce(via_mcp.metric, direct.metric) as own_metric,
        case when via_mcp.rule_id is null then direct.call_type end as call_type,
        direct.billing_context is null as is_function,
        mcp_jobs.job_id is not null as is_called_over_mcp

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

-- The caller of a function is the job of the same account that it names, if the steps of that job show a call to it.
-- The context of a function without a caller depends on the type of the root recipe.
with_callers as (

    select
        own_types.*,
        function_calls.calling_job_id as known_calling_job_id,
        function_calls.call_mode,
        coalesce(function_calls.is_mixed, false) as is_mixed_call,
        case
            when own_types.is_function then coalesce(by_root.orphan_function_context, 'workflow')
            else own_types.type_context
        end as own_context,
        case when own_types.is_function then 'J-FN-ORPHAN' else own_types.type_rule_id end as own_rule_id,
        case when own_types.is_function then by_root.rule_override else own_types.rule_override end as own_override

    from own_types
    left join function_calls
        on
            own_types.customer_id = function_calls.customer_id
            and case when own_types.is_function then own_types.calling_job_id end = function_calls.calling_job_id
            and own_types.recipe_id = function_calls.called_recipe_id
    left join recipe_types_listed as root_recipes
        on
            own_types.customer_id = root_recipes.customer_id
            and case when own_types.is_function then own_types.root_recipe_id end = root_recipes.recipe_id
    left join contexts_by_type as by_root
        on
            root_recipes.recipe_type = by_root.recipe_type
            and not by_root.is_mcp
            and {{ is_in_force('by_root', 'own_types.rule_date') }}

),

job_own_contexts as (

    select
        -- ids
        job_hash,
        customer_id,
        job_id,
        rule_date,

        -- the context if no job called it
        recipe_type,
        type_override,
        is_function,
        own_context,
        own_rule_id,
        own_override,
        own_metric,
        call_type,

        -- how it was called
        is_called_over_mcp,
        known_calling_job_id as calling_job_id,
        call_mode,
        is_mixed_call

    from with_callers

)

select * from job_own_contexts
