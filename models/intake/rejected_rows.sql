{{ replaces('load') }}
{#- base models that also read streamed job files; their column extract_name names the extract -#}
{% set streamed = ['jobs', 'steps'] %}

with

rejected_rows as (
    {% for extract in [
        'customers', 'recipes', 'connections', 'jobs', 'steps', 'api_requests', 'api_collections',
        'event_stream_requests', 'genie_prompts', 'seats', 'subscriptions', 'credit_ratios',
        'recommended_recipes', 'vendor_usage',
    ] %}
        select
            {{ 'extract_name' if extract in streamed else literal(extract) ~ ' as extract_name' }},
            load_id,
            file_name,
            quarantine_reason as reason,
            {{ 'cast(null as timestamp)' if extract == 'recommended_recipes' else 'extracted_at' }} as extracted_at,
            row_content
        from {{ ref('base_' ~ extract) }}
        where quarantine_reason is not null
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from rejected_rows
