{#- Where the platform has a fact; a compacted line has it under the name of its column. -#}
{% set paths = {
    'recipe_line_number': 'recipe_line_number',
    'adapter_name': 'adapter_name',
    'adapter_operation': 'adapter_operation',
    'keyword': 'keyword',
    'status': 'status',
    'error': 'error',
    'page_count': var('job_history_page_count_path'),
    'called_recipe_id': var('job_history_called_recipe_path'),
    'duration_seconds': 'line_stat.total',
} %}

with

-- An unusable job keeps its lines. Those of an erased one count as erased.
streamed_jobs as (

    select
        customer_id,
        job_id,
        extracted_at,
        lines,
        load_id,
        file_name
    from {{ ref('base_jobs') }}
    where
        extract_name = 'job_history'
        and (quarantine_reason is null or {{ is_erased_reason('quarantine_reason') }})

),

listed as (

    {{ json_elements('streamed_jobs', 'lines', ['customer_id', 'job_id', 'extracted_at', 'load_id', 'file_name']) }}

),

-- The line's fields as text, named as the extract steps names them.
as_texts as (

    select
        customer_id,
        job_id,
        element_index,
        {% for column, path in paths.items() -%}
            {% if path != column -%}
                case
                    when {{ is_compacted_entry('element') }} then {{ json_text('element', column) }}
                    else {{ json_text('element', path) }}
                end as {{ column }},
            {%- else -%}
                {{ json_text('element', path) }} as {{ column }},
            {%- endif %}
        {% endfor -%}
        case
            when {{ is_compacted_entry('element') }}
                then cast({{ json_text('element', 'message_count') }} as bigint)
            else {{ json_array_length_at('element', var('job_history_messages_path')) }}
        end as messages,
        extracted_at,
        element,
        load_id,
        file_name

    from listed

),

base_streamed_steps as (

    select
        customer_id as account_id,
        job_id,
        cast(element_index as bigint) as line_index,
        {% for column in paths -%}
            {{ without_null_mark(column) }} as {{ column }},
        {% endfor -%}
        cast(messages as bigint) as message_count,
        extracted_at,
        element as entry,
        load_id,
        file_name

    from as_texts

)

select * from base_streamed_steps
