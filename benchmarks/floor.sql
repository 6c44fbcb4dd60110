-- The floor: the shortest honest script from the same Parquet files to one decision per step and the monthly totals.
-- It trusts its input and the rule book: nothing is quarantined, dated, flagged, tested or published, a function has one
-- caller, and the latest delivery is the one with the greatest extracted_at. floor.py sets the variables.
create temp macro extract_of(name) as table
    select * from read_parquet(getvariable('extracts') || '/' || name || '/*.parquet', union_by_name = true);
create temp macro rules_of(name) as table
    select * from read_csv(getvariable('rules') || '/' || name || '.csv', header = true, all_varchar = true);

create temp table recipes as
    select
        account_id,
        recipe_id,
        coalesce(listed.recipe_type, triggers.recipe_type, 'workflow') as recipe_type
    from (
        select user_id as account_id, id as recipe_id, unnest(max_by(recipes, extracted_at))
        from extract_of('recipes') as recipes
        group by user_id, id
    ) as listed
    left join rules_of('recipe_types') as triggers
        on
            listed.trigger_application = triggers.trigger_adapter
            and listed.trigger_operation = triggers.trigger_operation;

create temp table requests as
    select requests.*, coalesce(is_mcp_server, false) as is_mcp
    from extract_of('api_requests') as requests
    left join (
        select account_id, id as api_collection_id, max_by(is_mcp_server, extracted_at) as is_mcp_server
        from extract_of('api_collections')
        group by account_id, id
    ) as collections using (account_id, api_collection_id);

create temp table jobs as
    with latest as (
        select account_id, id, max(extracted_at) as extracted_at
        from extract_of('jobs')
        group by account_id, id
    ),
    asynchronous as (
        select distinct account_id, job_id as calling_job_id, called_recipe_id as recipe_id, true as is_asynchronous
        from extract_of('steps')
        inner join rules_of('call_operations') using (adapter_name, adapter_operation)
        where called_recipe_id is not null and call_mode = 'async'
    ),
    mcp as (
        select distinct account_id, job_id as id, true as is_mcp from requests where is_mcp
    )
    select
        jobs.account_id,
        jobs.id as job_id,
        jobs.extracted_at,
        jobs.completed_at is null as is_pending,
        jobs.is_poll_error,
        cast(make_timestamp(epoch_us(jobs.completed_at)) as date) as usage_date,
        case
            when recipes.recipe_type is distinct from 'recipe_function' then own.billing_context
            when is_asynchronous then 'workflow'
            else coalesce(root.orphan_function_context, 'workflow')
        end as billing_context,
        case
            when jobs.completed_at is not null and not jobs.is_poll_error and jobs.status in ('succeeded', 'completed')
                then own.metric
        end as metric
    from extract_of('jobs') as jobs
    inner join latest using (account_id, id, extracted_at)
    left join recipes using (account_id, recipe_id)
    left join recipes as root_recipes
        on jobs.account_id = root_recipes.account_id and jobs.root_recipe_id = root_recipes.recipe_id
    left join asynchronous using (account_id, calling_job_id, recipe_id)
    left join mcp using (account_id, id)
    left join rules_of('billing_contexts_by_recipe_type') as own
        on
            coalesce(recipes.recipe_type, 'workflow') = own.recipe_type
            and (coalesce(mcp.is_mcp, false) and recipes.recipe_type like 'api%') = cast(own.is_mcp as boolean)
    left join rules_of('billing_contexts_by_recipe_type') as root
        on root_recipes.recipe_type = root.recipe_type and not cast(root.is_mcp as boolean);

create table decisions as
    with ruled as (
        select
            account_id,
            job_id,
            line_index,
            usage_date,
            page_count,
            message_count,
            case
                when is_pending then 'S-PENDING'
                when is_poll_error then 'S-TEST'
                when steps.adapter_name is null or control.keyword is not null then 'S-CONTROL'
                when status = 'skipped' then 'S-SKIPPED'
                when coalesce(status not in ('succeeded', 'completed'), error is not null) then 'S-FAILED'
                else coalesce(
                    own.rule_id, other.rule_id, contexts.rule_id, apps.rule_id,
                    case when steps.adapter_name similar to '.+_connector_[0-9]+_[0-9]+' then 'S-ACTION' end,
                    case when starts_with(steps.adapter_name, 'workato_') then 'S-UNRULED' end, 'S-UNKNOWN'
                )
            end as rule_id
        from extract_of('steps') as steps
        inner join jobs using (account_id, job_id, extracted_at)
        left join rules_of('control_keywords') as control on steps.keyword = control.keyword
        left join rules_of('operation_metrics') as own
            on steps.adapter_name = own.adapter_name and steps.adapter_operation = own.adapter_operation
        left join rules_of('operation_metrics') as other
            on steps.adapter_name = other.adapter_name and other.adapter_operation is null
        left join rules_of('context_rules') as contexts on jobs.billing_context = contexts.billing_context
        left join rules_of('app_eligibility') as apps on steps.adapter_name = apps.adapter_name
    )
    select
        account_id,
        job_id,
        line_index,
        usage_date,
        rule_id,
        case
            when rule_id in ('S-ACTION', 'S-UNKNOWN') then 'business_actions'
            when rule_id = 'S-PAGES' then 'pages_processed'
            when rule_id in ('S-EVENT', 'S-EVENT-BATCH') then 'events_processed'
        end as metric,
        case rule_id
            when 'S-PAGES' then coalesce(page_count, 0)
            when 'S-EVENT-BATCH' then coalesce(message_count, 0)
            else cast(metric is not null as bigint)
        end as quantity,
        cast(
            line_index > 0 and rule_id not in ('S-PENDING', 'S-TEST', 'S-CONTROL', 'S-SKIPPED', 'S-FAILED') as bigint
        ) as tasks
    from ruled;

create table monthly_totals as
    with steps as (
        select
            account_id,
            date_trunc('month', usage_date) as usage_month,
            metric,
            sum(quantity) as quantity,
            sum(tasks) as tasks
        from decisions
        group by all
    ),
    requested as (
        select
            account_id,
            date_trunc('month', make_timestamp(epoch_us(requested_at))) as usage_month,
            is_mcp,
            request_type <> 'managed' as is_proxied
        from requests
        where job_id is null and gateway_code is null and internal_error = 'false'
    ),
    counted as (
        select account_id, usage_month, metric, quantity from steps where metric is not null
        union all
        select account_id, usage_month, 'tasks', tasks from steps
        union all
        select account_id, date_trunc('month', usage_date), metric, 1 from jobs where metric is not null
        union all
        select account_id, usage_month, case when is_mcp then 'mcp_calls' else 'api_calls' end, 1 from requested
        union all
        select account_id, usage_month, 'tasks', 1 from requested where is_proxied
        union all
        select account_id, date_trunc('month', make_timestamp(epoch_us(requested_at))), 'events_processed', message_count
        from extract_of('event_stream_requests')
        where status in ('succeeded', 'completed') and endpoint in ('publish', 'batch_publish')
        union all
        select account_id, date_trunc('month', make_timestamp(epoch_us(sent_at))), 'genie_actions', 1
        from extract_of('genie_prompts')
        where coalesce(status in ('succeeded', 'completed'), true)
    )
    select
        account_id,
        cast(usage_month as date) as usage_month,
        metric,
        cast(sum(quantity) as bigint) as quantity
    from counted
    group by all
    having sum(quantity) > 0;
