{#- Each set of terms says the same of its measure and of MCP calls in all its rows; a metric that counts tasks, and no
    other, has task rules; workflow tasks are billed together with what calls over MCP invoked. -#}
{% test terms_are_complete(model) %}

select
    terms,
    metric,
    case
        when (metric in ('tasks', 'workflow_tasks')) is distinct from (task_rules is not null)
            then 'a metric that counts tasks, and no other, has task_rules'
        when (metric = 'tasks') is distinct from (measure = 'tasks')
            then 'terms with the measure tasks bill tasks, and nothing else'
        when metric = 'workflow_tasks' and mcp_calls_count_as is distinct from 'invoked_asset'
            then 'terms with workflow tasks bill what a call over MCP invoked'
        else 'all rows of the terms have the same recipe_metric, measure and mcp_calls_count_as'
    end as problem
from {{ model }} as rules
where
    (metric in ('tasks', 'workflow_tasks')) is distinct from (task_rules is not null)
    or (metric = 'tasks') is distinct from (measure = 'tasks')
    or (metric = 'workflow_tasks' and mcp_calls_count_as is distinct from 'invoked_asset')
    or exists (
        select 1 from {{ model }} as others
        where
            others.terms = rules.terms
            and (
                others.recipe_metric is distinct from rules.recipe_metric
                or others.measure is distinct from rules.measure
                or others.mcp_calls_count_as is distinct from rules.mcp_calls_count_as
            )
    )
    or exists (
        select 1 from {{ model }} as others
        where
            others.terms <> rules.terms
            and others.recipe_metric = rules.recipe_metric
    )

{% endtest %}
