{% set texts = [
    'id', 'account_id', 'environment_type', 'recipe_id', 'status', 'master_job_id', 'calling_job_id',
    'calling_recipe_id', 'root_job_id', 'root_recipe_id', 'error_type', 'error', 'extracted_at',
] %}
{% set values = {
    'is_repeat': 'boolean',
    'repeat_count': 'bigint',
    'is_test': 'boolean',
    'is_poll_error': 'boolean',
    'started_at': 'timestamp',
    'completed_at': 'timestamp',
    'action_count': 'bigint',
} %}

with

status_words as (

    select
        raw_status,
        status as read_status
    from {{ ref('status_words') }}

),

entries as (

    {{ streamed_entries(extract('job_history')) }}

),

readable as (

    select
        *,
        case when {{ is_json('entry') }} then entry end as readable_entry
    from entries

),

-- The job's fields as text, named as the extract jobs names them.
as_texts as (

    select
        {% for column in texts + values.keys() | list -%}
            {{ json_text('readable_entry', column) }} as {{ column }},
        {% endfor -%}
        {{ json_text('readable_entry', 'lines') }} as lines,
        readable_entry,
        entry,
        load_id,
        file_name

    from readable

),

without_marks as (

    select
        {% for column in texts + values.keys() | list -%}
            {{ without_null_mark(column) }} as {{ column }},
        {% endfor -%}
        lines,
        readable_entry,
        entry,
        load_id,
        file_name

    from as_texts

),

-- Each value as the contract's type; null where it can't be read.
parsed as (

    select
        {% for column in texts if column not in ['account_id', 'error', 'extracted_at'] -%}
            texts.{{ column }},
        {% endfor -%}
        {% for column, type in values.items() -%}
            texts.{{ column }} as text_{{ column }},
            {{ read_text_as(type, 'texts.' ~ column) }} as {{ column }},
        {% endfor -%}
        {{ error_text('texts.error') }} as error,
        coalesce(
            texts.account_id,
            -- the path of a streamed file starts with the customer's account id
            case when texts.file_name like 'job_history/%/%' then split_part(texts.file_name, '/', 2) end
        ) as account_id,
        coalesce(texts.extracted_at, texts.completed_at) as text_extracted_at,
        {{ read_text_as('timestamp', 'coalesce(texts.extracted_at, texts.completed_at)') }} as extracted_at,
        texts.lines,
        texts.readable_entry,
        texts.entry,
        texts.load_id,
        texts.file_name,
        status_words.read_status

    from without_marks as texts
    left join status_words on lower(texts.status) = status_words.raw_status

),

computed as (

    {{ computed_once('parsed') }}

),

-- The first value that can't be read.
named as (

    select
        *,
        {{ first_unread_text(values.keys() | list + ['extracted_at']) }} as unread_column
    from computed

),

judged as (

    select
        *,
        case
            when readable_entry is null then 'unreadable record'
            else {{ quarantine_reason('jobs') }}
        end as quarantine_reason

    from named

),

base_job_history as (

    select
        -- ids
        {{ row_hash(['account_id', 'id']) }} as job_hash,
        id as job_id,
        account_id as customer_id,
        recipe_id,
        master_job_id,
        calling_job_id,
        calling_recipe_id,
        root_job_id,
        root_recipe_id,

        -- what it is
        environment_type,
        read_status as status,
        coalesce(is_repeat, false) as is_repeat,
        repeat_count,
        coalesce(is_test, false) as is_test,
        coalesce(is_poll_error, false) as is_poll_error,
        action_count,
        error_type,
        error,

        -- times
        started_at,
        completed_at,
        extracted_at,

        -- the executed lines as a JSON array; null where they are missing or a text says that they were too large
        case when {{ is_json_array('lines') }} then lines end as lines,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then entry end as row_content

    from judged

)

select * from base_job_history
