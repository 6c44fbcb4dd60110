-- depends_on: {{ ref('changed_requests') }}
with

readable_steps as (
    {% for extract in ['steps', 'job_history_lines'] %}
        select
            job_hash,
            customer_id,
            job_id,
            called_recipe_id,
            line_index,
            recipe_line_number,
            adapter_name,
            adapter_operation,
            keyword,
            status,
            error,
            page_count,
            message_count,
            duration_seconds,
            extracted_at,
            file_name,
            '{{ extract }}' as extract_name
        from {{ ref('base_' ~ extract) }}
        where
            quarantine_reason is null
            and {{ is_changed_job() }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from readable_steps
