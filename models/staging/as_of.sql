{% set extracts = [
    'customers', 'recipes', 'connections', 'jobs', 'steps', 'job_history', 'api_requests', 'api_collections',
    'event_stream_requests', 'genie_prompts', 'vendor_usage',
] %}

with

newest_by_extract as (
    {% for extract in extracts %}
        select max(extracted_at) as extracted_at
        from {{ ref('base_' ~ extract) }}
        where quarantine_reason is null
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

newest_of_all as (

    select max(extracted_at) as extracted_at
    from newest_by_extract

),

as_of as (

    select
        {% if as_of_option() -%}
            cast({{ literal(as_of_option()) }} as date)
        {%- else -%}
            {{ local_date('extracted_at') }}
        {%- endif %} as as_of_date
    from newest_of_all

)

select
    as_of_date,
    cast(date_trunc('month', as_of_date) as date) as as_of_month
from as_of
