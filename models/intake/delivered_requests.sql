{{ replaces('load') }}

with

delivered_requests as (
    {% for extract in ['api_requests', 'event_stream_requests', 'genie_prompts'] %}
        select
            '{{ extract }}' as extract_name,
            request_hash,
            {% if extract == 'api_requests' -%}
                case when job_id is not null then {{ row_hash(['customer_id', 'job_id']) }} end as job_hash,
                case
                    when api_collection_id is not null then {{ row_hash(['customer_id', 'api_collection_id']) }}
                end as collection_hash,
            {%- else -%}
                null as job_hash,
                null as collection_hash,
            {%- endif %}
            {{ local_date('sent_at' if extract == 'genie_prompts' else 'requested_at') }} as usage_date,
            load_id,
            file_name,
            extracted_at
        from {{ ref('base_' ~ extract) }}
        where quarantine_reason is null
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from delivered_requests
