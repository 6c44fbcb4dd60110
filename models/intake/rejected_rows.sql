{{ config(materialized='incremental', incremental_strategy='by_load') }}

with

rejected_rows as (
    {% for extract in [
        'customers', 'recipes', 'connections', 'jobs', 'steps', 'job_history', 'job_history_lines', 'api_requests',
        'api_collections', 'event_stream_requests', 'genie_prompts', 'seats', 'subscriptions', 'credit_ratios',
        'recommended_recipes', 'vendor_usage',
    ] %}
        select
            '{{ extract }}' as extract_name,
            load_id,
            file_name,
            quarantine_reason as reason,
            {{ 'cast(null as timestamp)' if extract == 'recommended_recipes' else 'extracted_at' }} as extracted_at,
            row_content
        from {{ ref('base_' ~ extract) }}
        where
            quarantine_reason is not null
            and {{ is_new_load() }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from rejected_rows
