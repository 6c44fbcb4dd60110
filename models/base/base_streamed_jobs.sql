{% set columns = [
    'id', 'account_id', 'environment_type', 'recipe_id', 'status', 'is_repeat', 'repeat_count', 'master_job_id',
    'calling_job_id', 'calling_recipe_id', 'root_job_id', 'root_recipe_id', 'is_test', 'is_poll_error', 'started_at',
    'completed_at', 'action_count', 'error_type', 'error', 'extracted_at',
] %}

with

jobs as (

    select
        *,
        case when is_readable then entry end as readable_entry
    from {{ ref('base_streamed_events') }}
    where event_kind = 'job'

),

-- The job's fields as text, named as the extract jobs names them.
as_texts as (

    select
        {% for column in columns -%}
            {{ json_text('readable_entry', column) }} as {{ column }},
        {% endfor -%}
        {{ json_text('readable_entry', 'lines') }} as lines,
        entry,
        is_readable,
        load_id,
        file_name

    from jobs

),

without_marks as (

    select
        {% for column in columns -%}
            {{ without_null_mark(column) }} as {{ column }},
        {% endfor -%}
        lines,
        entry,
        is_readable,
        load_id,
        file_name

    from as_texts

),

base_streamed_jobs as (

    select
        {% for column in columns if column not in ['account_id', 'extracted_at'] -%}
            {{ column }},
        {% endfor -%}
        coalesce(account_id, {{ account_of_path('file_name') }}) as account_id,
        coalesce(extracted_at, completed_at) as extracted_at,
        lines,
        entry,
        is_readable,
        load_id,
        file_name

    from without_marks

)

select * from base_streamed_jobs
