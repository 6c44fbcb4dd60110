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
