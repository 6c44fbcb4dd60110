{% macro usage_metrics() -%}
    {{ return([
        'tasks', 'business_actions', 'api_calls', 'pages_processed', 'events_processed', 'mcp_calls', 'genie_actions',
    ]) }}
{%- endmacro %}

{% macro reported_metrics() -%}
    {{ return(usage_metrics() + ['jobs_succeeded', 'jobs_failed']) }}
{%- endmacro %}
