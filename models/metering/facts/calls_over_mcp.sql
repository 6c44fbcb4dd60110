{{ config(materialized='view') }}

-- The view names no database, because readers attach the published file under a name of their choice.
with

jobs as (

    select * from {{ ref('metered_jobs').include(database=false) }}

),

requests as (

    select
        *,
        {{ rule_date(local_date('requested_at')) }} as rule_date
    from {{ ref('metered_requests').include(database=false) }}

),

contexts_by_type as (

    select * from {{ ref('effective_billing_contexts_by_recipe_type').include(database=false) }}

),

request_rules as (

    select * from {{ ref('effective_request_rules').include(database=false) }}

),

-- The rows of the rule book for what was not called over MCP say what it counts as.
calls_over_mcp as (

    select
        'job' as unit_kind,
        jobs.job_hash as unit_hash,
        jobs.customer_id,
        jobs.job_id as unit_id,
        jobs.usage_date,
        jobs.recipe_id,
        jobs.is_admin,
        direct.call_type,
        jobs.quantity
    from jobs
    inner join contexts_by_type as direct
        on
            jobs.recipe_type = direct.recipe_type
            and not direct.is_mcp
            and {{ is_in_force('direct', 'jobs.rule_date') }}
    where
        jobs.metric = 'mcp_calls'
        and direct.metric = 'api_calls'

    union all

    select
        'request' as unit_kind,
        requests.request_hash as unit_hash,
        requests.customer_id,
        requests.request_id as unit_id,
        requests.usage_date,
        requests.recipe_id,
        requests.is_admin,
        direct.call_type,
        requests.quantity
    from requests
    inner join request_rules as direct
        on
            requests.extract_name = direct.extract_name
            and requests.request_type = direct.request_type
            and not direct.is_mcp
            and {{ is_in_force('direct', 'requests.rule_date') }}
    where
        requests.metric = 'mcp_calls'
        and direct.metric = 'api_calls'

)

select * from calls_over_mcp
