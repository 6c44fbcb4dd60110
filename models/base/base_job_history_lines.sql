{% set texts = {
    'adapter_name': 'adapter_name',
    'adapter_operation': 'adapter_operation',
    'keyword': 'keyword',
    'status': 'status',
    'error': 'error',
    'called_recipe_id': var('job_history_called_recipe_path'),
} %}
{% set values = {
    'recipe_line_number': ['recipe_line_number', 'bigint'],
    'page_count': [var('job_history_page_count_path'), 'bigint'],
    'duration_seconds': ['line_stat.total', 'decimal(18, 6)'],
} %}

with

base_job_history as (

    select * from {{ ref('base_job_history') }}
    where quarantine_reason is null

),

status_words as (

    select
        raw_status,
        status as read_status
    from {{ ref('status_words') }}

),

listed as (

    {{ json_elements('base_job_history', 'lines', ['customer_id', 'job_id', 'extracted_at', 'load_id', 'file_name']) }}

),

-- The line's fields as text, named as the extract steps names them.
as_texts as (

    select
        customer_id as account_id,
        job_id,
        element_index as line_index,
        {% for column, path in texts.items() -%}
            {{ json_text('element', path) }} as {{ column }},
        {% endfor -%}
        {% for column, (path, type) in values.items() -%}
            {{ json_text('element', path) }} as {{ column }},
        {% endfor -%}
        {{ json_array_length_at('element', var('job_history_messages_path')) }} as message_count,
        extracted_at,
        element,
        load_id,
        file_name

    from listed

),

without_marks as (

    select
        account_id,
        job_id,
        line_index,
        {% for column in texts.keys() | list + values.keys() | list -%}
            {{ without_null_mark(column) }} as {{ column }},
        {% endfor -%}
        message_count,
        extracted_at,
        element,
        load_id,
        file_name

    from as_texts

),

-- Each value as the contract's type; null where it can't be read.
parsed as (

    select
        texts.account_id,
        texts.job_id,
        cast(texts.line_index as bigint) as line_index,
        {% for column in texts if column != 'error' -%}
            texts.{{ column }},
        {% endfor -%}
        {{ error_text('texts.error') }} as error,
        {% for column, (path, type) in values.items() -%}
            texts.{{ column }} as text_{{ column }},
            {{ read_text_as(type, 'texts.' ~ column) }} as {{ column }},
        {% endfor -%}
        cast(texts.message_count as bigint) as message_count,
        texts.extracted_at,
        texts.element,
        texts.load_id,
        texts.file_name,
        status_words.read_status

    from without_marks as texts
    left join status_words on lower(texts.status) = status_words.raw_status

),

computed as (

    {{ computed_once('parsed') }}

),

-- The first value that can't be read and must be.
named as (

    select
        *,
        {{ first_unread_text(['recipe_line_number', 'duration_seconds']) }} as unread_column
    from computed

),

judged as (

    select
        *,
        {{ quarantine_reason('steps') }} as quarantine_reason

    from named

),

base_job_history_lines as (

    select
        -- ids
        {{ row_hash(['account_id', 'job_id']) }} as job_hash,
        account_id as customer_id,
        job_id,
        called_recipe_id,

        -- what it is
        line_index,
        recipe_line_number,
        adapter_name,
        adapter_operation,
        keyword,
        read_status as status,
        error,
        page_count,
        message_count,
        duration_seconds,

        -- times
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then element end as row_content

    from judged

)

select * from base_job_history_lines
