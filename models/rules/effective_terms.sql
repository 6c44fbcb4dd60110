with

terms as (

    select * from {{ ref('terms') }}

),

-- Tasks are counted under the task rules that the row names (C-TASK-RULES).
billed_metrics as (

    select
        terms,
        recipe_metric,
        measure,
        mcp_calls_count_as,
        metric,
        case when task_rules = 'task_terms' then {{ literal(var('task_terms')) }} else task_rules end as task_rules,
        source
    from terms

),

effective_terms as (

    select
        *,
        metric || coalesce('_' || lower(task_rules), '') as counted_as
    from billed_metrics

    union all

    -- C-MCP-ASSET: what a call over MCP invoked is an API call, too
    select
        *,
        'api_calls_over_mcp' as counted_as
    from billed_metrics
    where
        metric = 'api_calls'
        and mcp_calls_count_as = 'invoked_asset'

)

select
    terms,
    recipe_metric,
    measure,
    metric,
    counted_as,
    task_rules,
    source
from effective_terms
