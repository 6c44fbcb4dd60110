{% set fields = api_log_fields() %}
{% set columns = [
    'id', 'account_id', 'requested_at', 'request_type', 'api_collection_id', 'recipe_id', 'job_id', 'http_status',
    'gateway_code', 'internal_error', 'extracted_at',
] %}

with

api_logs as (

    select * from {{ ref('base_streamed_events') }}
    where event_kind = 'api_request'

),

-- The log's fields as text, named as the extract api_requests names them.
as_texts as (

    select
        {% for column in columns + ['job_link'] -%}
            {{ first_json_text('entry', fields[column]) }} as {{ column }},
        {% endfor -%}
        entry,
        load_id,
        file_name

    from api_logs

),

with_linked_jobs as (

    select
        {% for column in columns if column != 'job_id' -%}
            {{ column }},
        {% endfor -%}
        job_link,
        coalesce(
            job_id,
            case
                when job_link like '%/%' then nullif(regexp_extract(job_link, '/jobs?/([^/?#]+)', 1), '')
                else job_link
            end
        ) as job_id,
        entry,
        load_id,
        file_name

    from as_texts

),

base_streamed_requests as (

    select
        {% for column in columns if column not in ['account_id', 'request_type', 'extracted_at'] -%}
            {{ column }},
        {% endfor -%}
        coalesce(account_id, {{ account_of_path('file_name') }}) as account_id,
        case
            when lower(request_type) in ('recipe', 'recipe collection', 'recipe_collection') then 'managed'
            when lower(request_type) in ('proxy collection', 'proxy_collection') then 'proxy'
            -- only a recipe has jobs
            when request_type is null and job_id is not null then 'managed'
            else request_type
        end as request_type,
        coalesce(extracted_at, requested_at) as extracted_at,
        job_id is null and job_link is not null as is_link_unreadable,
        entry,
        load_id,
        file_name

    from with_linked_jobs

)

select * from base_streamed_requests
