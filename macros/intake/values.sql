{% macro stored_type(column) -%}
    {{ return('string' if column.data_type == 'date' else column.data_type) }}
{%- endmacro %}


{% macro without_no_value(column, text) -%}
    {{ return("nullif(" ~ text ~ ", '')" if column.meta.is_free_text else without_null_mark(text)) }}
{%- endmacro %}


{% macro read_as(type, value) -%}
    {{ return(to_utc(value) if type == 'timestamp' else read_text_as(type, value)) }}
{%- endmacro %}


{% macro read_text_as(type, value) -%}
    {%- if type == 'timestamp' -%}
        {{ return(text_to_utc(value)) }}
    {%- elif type == 'bigint' -%}
        {{ return(to_whole_number(value)) }}
    {%- elif type == 'boolean' -%}
        {{ return(to_boolean(value)) }}
    {%- elif type.startswith('decimal') -%}
        {{ return(to_decimal(value, type)) }}
    {%- endif -%}
    {{ exceptions.raise_compiler_error("The contract of the extracts has an unknown type: " ~ type) }}
{%- endmacro %}


{% macro error_text(column) -%}
    case when length({{ column }}) > 16 or lower(trim({{ column }})) not in ('{}', '[]', 'false') then {{ column }} end
{%- endmacro %}


{% macro first_unread_column(columns) -%}
    {%- set marks = [] -%}
    {%- for mark in var('null_marks') -%}
        {%- do marks.append(modules.re.escape(mark | string | trim)) -%}
    {%- endfor -%}
    {{ return(adapter.dispatch('first_unread_column')(columns, '(?i)\\s*(' ~ marks | join('|') ~ ')?\\s*')) }}
{%- endmacro %}

{% macro duckdb__first_unread_column(columns, mark) -%}
    case
        when extra is not null
            then list_filter(
                ['{{ columns | join("', '") }}'],
                lambda name: not regexp_full_match(
                    json_extract_string(extra, '$."' || name || '"'), {{ literal(mark) }}
                )
            )[1]
    end
{%- endmacro %}

{% macro spark__first_unread_column(columns, mark) -%}
    case
        when extra is not null
            then try_element_at(
                filter(
                    array('{{ columns | join("', '") }}'),
                    name -> not coalesce(get_json_object(extra, '$.' || name), '')
                        rlike {{ literal('^' ~ mark ~ '$') }}
                ),
                1
            )
    end
{%- endmacro %}
