{% macro streamed_entries(relation) -%}
    with

    unwrapped as (

        select
            load_id,
            file_name,
            record,
            case
                when {{ is_json('record') }} then coalesce({{ json_text('record', 'logEntries') }}, record)
            end as payload

        from {{ relation }}

    ),

    listed as (

        {{ json_elements('unwrapped', 'payload', ['load_id', 'file_name']) }}

    )

    select
        load_id,
        file_name,
        element as entry
    from listed

    union all

    select
        load_id,
        file_name,
        coalesce(payload, record) as entry
    from unwrapped
    where not {{ is_json_array('payload') }}
{%- endmacro %}


{#- By which fields an event of the stream is told apart, and where an API log has what: no public sample shows the
    latter. plugins/streamed_events.py has the same. Decisions: docs/decisions/streamed-events.md -#}
{% macro shapes_of_events() -%}
    {{ return({
        'api_log': [
            'request_type', 'gateway_code', 'http_status', 'status_code', 'api_collection', 'api_collection_id',
            'api_endpoint', 'api_client', 'endpoint',
        ],
        'job': [
            'recipe_id', 'flow_id', 'master_job_id', 'calling_job_id', 'calling_recipe_id', 'root_job_id',
            'root_recipe_id', 'is_repeat', 'repeat_count', 'is_test', 'is_poll_error', 'action_count', 'error_type',
        ],
        'event': ['event_type', 'event_name', 'event', 'activity', 'activity_type', 'action'],
        'event_detail': ['timestamp', 'user', 'workspace', 'resource', 'resource_type'],
    }) }}
{%- endmacro %}


{% macro api_log_fields() -%}
    {{ return({
        'id': ['id', 'request_id'],
        'account_id': ['account_id', 'workspace_id', 'workspace.id'],
        'requested_at': ['requested_at', 'timestamp', 'date_time', 'date', 'time', 'created_at'],
        'request_type': ['request_type', 'collection_type'],
        'api_collection_id': ['api_collection_id', 'collection_id', 'api_collection.id'],
        'recipe_id': ['recipe_id', 'flow_id'],
        'job_id': ['job_id', 'job.id'],
        'http_status': ['http_status', 'status_code', 'code'],
        'gateway_code': ['gateway_code'],
        'internal_error': ['internal_error'],
        'extracted_at': ['extracted_at'],
        'job_link': ['job_link', 'job_url', 'job_details'],
    }) }}
{%- endmacro %}


{% macro first_json_text(column, paths) -%}
    {%- set texts = [] -%}
    {%- for path in paths -%}
        {%- do texts.append(without_null_mark(json_text(column, path))) -%}
    {%- endfor -%}
    {{ "coalesce(" ~ texts | join(', ') ~ ")" if texts | length > 1 else texts[0] }}
{%- endmacro %}


{#- What is not surely something else is a job, so that a broken job is quarantined. -#}
{% macro event_kind(entry) -%}
    {%- set shapes = shapes_of_events() -%}
    case
        when {{ entry }} like '{{ erased_mark()[:-1] }},"kind":"api_request"%' then 'api_request'
        when {{ has_json_value(entry, ['lines']) }} then 'job'
        when {{ has_json_value(entry, shapes.api_log) }} then 'api_request'
        when {{ has_json_value(entry, ['started_at', 'completed_at']) }} then 'job'
        when {{ has_json_value(entry, shapes.event) }} then 'other'
        when {{ has_json_value(entry, shapes.job) }} then 'job'
        when {{ has_json_value(entry, shapes.event_detail) }} then 'other'
        else 'job'
    end
{%- endmacro %}


{% macro streamed_events(relation) -%}
    select
        load_id,
        file_name,
        entry,
        readable_entry is not null as is_readable,
        {{ event_kind('readable_entry') }} as event_kind
    from (
        select
            *,
            case when {{ is_json('entry') }} then entry end as readable_entry
        from (
            {{ streamed_entries(relation) }}
        ) as entries
    ) as readable
{%- endmacro %}


{#- The path of a streamed file starts with the customer's account id. -#}
{% macro account_of_path(file_name) -%}
    case when {{ file_name }} like 'job_history/%/%' then split_part({{ file_name }}, '/', 2) end
{%- endmacro %}


{% macro rows_of_texts(name, relation, typed=[], keep=[]) -%}
    {%- set inner, outer, marks = [], [], [] -%}
    {%- for column in (extract_contract(name).columns.values() if execute else []) -%}
        {%- if stored_type(column) == 'string' or column.name in typed -%}
            {%- do inner.append(column.name) -%}
        {%- else -%}
            {%- do inner.append(column.name ~ " as text_" ~ column.name) -%}
            {%- do inner.append(read_text_as(column.data_type, column.name) ~ " as " ~ column.name) -%}
            {%- if not column.meta.may_be_unreadable -%}
                {%- do marks.append(
                    "when " ~ column.name ~ " is null and text_" ~ column.name ~ " is not null then "
                    ~ literal(column.name)
                ) -%}
            {%- endif -%}
        {%- endif -%}
        {%- do outer.append(column.name) -%}
    {%- endfor %}
    select
        {% for column in outer -%}
            {{ column }},
        {% endfor -%}
        cast(null as string) as extra,
        {{ "case " ~ marks | join(' ') ~ " end" if marks else "cast(null as string)" }} as unread_column,
        {% for column in ['load_id', 'file_name'] + keep -%}
            {{ column }}{{ ', ' if not loop.last }}
        {%- endfor %}
    from (select {{ (inner + ['load_id', 'file_name'] + keep) | join(', ') }} from {{ relation }}) as read_texts
{%- endmacro %}
