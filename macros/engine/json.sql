{% macro row_as_json(columns) -%}
    {{ return(adapter.dispatch('row_as_json')(columns)) }}
{%- endmacro %}

{% macro duckdb__row_as_json(columns) -%}
    cast(json_object(
        {%- for column in columns -%}
        '{{ column }}', {{ columns[column] if columns is mapping else column }}{{ ', ' if not loop.last }}
        {%- endfor -%}
    ) as varchar)
{%- endmacro %}

{#- Spark's own function writes times in another format. -#}
{% macro spark__row_as_json(columns) -%}
    '{'
    {%- for column in columns %}
    {%- set value = columns[column] if columns is mapping else column %}
    || '"{{ column }}":' || coalesce(
        case
            when typeof({{ value }}) in ('string', 'date', 'timestamp_ntz')
                then substr(
                    to_json(array(cast({{ value }} as string))),
                    2,
                    length(to_json(array(cast({{ value }} as string)))) - 2
                )
            when typeof({{ value }}) = 'timestamp' then '"' || cast({{ value }} as string) || '+00"'
            else {{ as_text(value) }}
        end, 'null'
    ){{ " || ','" if not loop.last }}
    {%- endfor %}
    || '}'
{%- endmacro %}


{% macro whole_row_as_json(alias) -%}
    {{ return(adapter.dispatch('whole_row_as_json')(alias)) }}
{%- endmacro %}

{% macro duckdb__whole_row_as_json(alias) -%}
    cast(to_json({{ alias }}) as varchar)
{%- endmacro %}

{% macro spark__whole_row_as_json(alias) -%}
    to_json(struct({{ alias }}.*))
{%- endmacro %}


{% macro is_json(column) -%}
    {{ return(adapter.dispatch('is_json')(column)) }}
{%- endmacro %}

{% macro duckdb__is_json(column) -%}
    coalesce(json_valid({{ column }}), false)
{%- endmacro %}

{#- Reads the text as the only element of an array: Spark's readers ignore what follows a complete value. -#}
{% macro spark__is_json(column) -%}
    coalesce(json_array_length('[' || {{ column }} || ']') = 1, false)
{%- endmacro %}


{% macro is_json_array(column) -%}
    {{ return(adapter.dispatch('is_json_array')(column)) }}
{%- endmacro %}

{#- Only a text that begins as an array is parsed: most are long objects. -#}
{% macro duckdb__is_json_array(column) -%}
    case
        when regexp_matches({{ column }}, '^[ \t\r\n]*\[')
            then coalesce(json_valid({{ column }}) and json_type({{ column }}) = 'ARRAY', false)
        else false
    end
{%- endmacro %}

{% macro spark__is_json_array(column) -%}
    ({{ spark__is_json(column) }} and json_array_length({{ column }}) is not null)
{%- endmacro %}


{% macro json_text(column, path) -%}
    {{ return(adapter.dispatch('json_text')(column, path)) }}
{%- endmacro %}

{% macro duckdb__json_text(column, path) -%}
    json_extract_string({{ column }}, {{ literal('$."' ~ path.split('.') | join('"."') ~ '"') }})
{%- endmacro %}

{% macro spark__json_text(column, path) -%}
    get_json_object({{ column }}, {{ literal('$.' ~ path) }})
{%- endmacro %}


{% macro has_json_value(column, names) -%}
    {{ return(adapter.dispatch('has_json_value')(column, names)) }}
{%- endmacro %}

{#- The types of all members are found in one reading of the text, which no value is copied from. -#}
{% macro duckdb__has_json_value(column, names) -%}
    {%- set paths = [] -%}
    {%- for name in names -%}
        {%- do paths.append(literal('$."' ~ name ~ '"')) -%}
    {%- endfor -%}
    coalesce(
        list_has_any(
            json_type({{ column }}, [{{ paths | join(', ') }}]),
            ['OBJECT', 'ARRAY', 'VARCHAR', 'BOOLEAN', 'UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT']
        ), false
    )
{%- endmacro %}

{% macro spark__has_json_value(column, names) -%}
    {%- set texts = [] -%}
    {%- for name in names -%}
        {%- do texts.append(spark__json_text(column, name)) -%}
    {%- endfor -%}
    {{ "(coalesce(" ~ texts | join(', ') ~ ")" if texts | length > 1 else "(" ~ texts[0] }} is not null)
{%- endmacro %}


{% macro json_array_length_at(column, path) -%}
    {{ return(adapter.dispatch('json_array_length_at')(column, path)) }}
{%- endmacro %}

{% macro duckdb__json_array_length_at(column, path) -%}
    {%- set json_path = literal('$."' ~ path.split('.') | join('"."') ~ '"') -%}
    case
        when json_type({{ column }}, {{ json_path }}) = 'ARRAY'
            then json_array_length({{ column }}, {{ json_path }})
    end
{%- endmacro %}

{#- As a variant, which distinguishes an array from a text that contains one. -#}
{% macro spark__json_array_length_at(column, path) -%}
    array_size(try_variant_get(try_parse_json({{ column }}), {{ literal('$.' ~ path) }}, 'array<variant>'))
{%- endmacro %}


{% macro json_elements(relation, column, keep) -%}
    {{ return(adapter.dispatch('json_elements')(relation, column, keep)) }}
{%- endmacro %}

{% macro duckdb__json_elements(relation, column, keep) -%}
    select
        {{ keep | join(', ') }},
        unnest(range(cast(json_array_length({{ column }}) as bigint))) as element_index,
        cast(unnest(from_json({{ column }}, '["JSON"]')) as varchar) as element
    from {{ relation }}
    where {{ duckdb__is_json_array(column) }}
{%- endmacro %}

{#- Spark removes the quotes of an element that is a text; a variant keeps them. -#}
{% macro spark__json_elements(relation, column, keep) -%}
    select
        {{ keep | join(', ') }},
        cast(element_position as bigint) as element_index,
        case
            when schema_of_variant(zipped.as_variant) = 'STRING' then to_json(zipped.as_variant)
            else zipped.as_json
        end as element
    from (
        select
            {{ keep | join(', ') }},
            from_json({{ column }}, 'array<string>') as as_json,
            from_json({{ column }}, 'array<variant>') as as_variant
        from {{ relation }}
        where {{ spark__is_json_array(column) }}
    ) as arrays
    lateral view posexplode(arrays_zip(as_json, as_variant)) elements as element_position, zipped
{%- endmacro %}
