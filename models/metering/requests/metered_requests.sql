{{ replaces('request') }}

with

api_requests as (

    select * from {{ ref('stg_api_requests') }}

),

collections as (

    select * from {{ ref('stg_api_collections') }}
    where is_current

),

event_stream_requests as (

    select * from {{ ref('stg_event_stream_requests') }}

),

jobs as (

    select * from {{ ref('metered_jobs') }}

),

request_rules as (

    select * from {{ ref('effective_request_rules') }}

),

task_rules as (

    select * from {{ ref('effective_task_rules') }}
    where task_terms = {{ literal(var('task_terms')) }}

),

-- All kinds of requests, with the columns that the rules use.
requests as (

    select
        api_requests.request_hash,
        'api_requests' as extract_name,
        api_requests.customer_id,
        api_requests.request_id,
        api_requests.recipe_id,
        api_requests.job_id,
        api_requests.request_type,
        coalesce(collections.is_mcp_server, false) as is_mcp,
        api_requests.is_successful,
        cast(null as bigint) as message_count,
        api_requests.requested_at,
        api_requests.extracted_at
    from api_requests
    left join collections
        on
            api_requests.customer_id = collections.customer_id
            and api_requests.api_collection_id = collections.api_collection_id

    union all

    select
        request_hash,
        'event_stream_requests' as extract_name,
        customer_id,
        request_id,
        cast(null as string) as recipe_id,
        cast(null as string) as job_id,
        endpoint as request_type,
        false as is_mcp,
        status = 'succeeded' as is_successful,
        message_count,
        requested_at,
        extracted_at
    from event_stream_requests

    union all

    select
        request_hash,
        'genie_prompts' as extract_name,
        customer_id,
        prompt_id as request_id,
        cast(null as string) as recipe_id,
        cast(null as string) as job_id,
        'prompt' as request_type,
        false as is_mcp,
        coalesce(status, 'succeeded') = 'succeeded' as is_successful,
        cast(null as bigint) as message_count,
        sent_at as requested_at,
        extracted_at
    from {{ ref('stg_genie_prompts') }}

),

-- A request with a job has the date of its job, if the job is known.
dated as (

    select
        requests.*,
        jobs.job_id is not null as is_job_known,
        case
            when jobs.job_id is null then {{ local_date('requests.requested_at') }} else jobs.usage_date
        end as usage_date,
        {{ rule_date(local_date('requests.requested_at')) }} as rule_date

    from requests
    left join jobs
        on
            requests.customer_id = jobs.customer_id
            and requests.job_id = jobs.job_id

),

decided as (

    select
        dated.*,
        request_rules.call_type as call_type_of_rule,
        case when dated.job_id is not null then 'R-JOB' else request_rules.rule_id end as rule_id,
        case when dated.job_id is null then request_rules.rule_override end as rule_override,
        case when dated.is_successful and dated.job_id is null then request_rules.metric end as metric,
        case request_rules.quantity_from when 'one' then 1 when 'message_count' then dated.message_count end as units

    from dated
    left join request_rules
        on
            dated.extract_name = request_rules.extract_name
            and dated.request_type = request_rules.request_type
            and dated.is_mcp = request_rules.is_mcp
            and {{ is_in_force('request_rules', 'dated.rule_date') }}

),

measured as (

    select
        decided.*,
        task_rules.rule_id as task_rule_id,
        task_rules.rule_override as task_rule_override,
        cast(case when decided.metric is not null then decided.units else 0 end as bigint) as quantity,
        cast(case when decided.metric is not null then coalesce(task_rules.tasks, 0) else 0 end as bigint) as tasks,
        case when decided.metric is not null then decided.call_type_of_rule end as call_type

    from decided
    left join task_rules
        on
            case
                when decided.job_id is null and decided.request_type in ('proxy', 'proxy_transformation')
                    then 'proxy_request'
            end = task_rules.unit_kind
            and {{ is_in_force('task_rules', 'decided.rule_date') }}

),

metered_requests as (

    select
        -- ids
        request_hash,
        extract_name,
        customer_id,
        request_id,
        recipe_id,
        job_id,
        {{ is_admin_account('customer_id') }} as is_admin,
        requested_at,
        extracted_at,
        usage_date,

        -- what it is
        request_type,
        is_mcp,
        is_successful,
        is_job_known,

        -- the decision
        metric,
        call_type,
        quantity,
        rule_id,
        rule_override,

        -- the same work in tasks
        tasks,
        task_rule_id,
        task_rule_override

    from measured

)

select * from metered_requests
