{#- What an engine does differently, each with the values that tests/data/engine_macros.sql compares it with. -#}

{% macro to_utc(column) -%}
    {{ return(adapter.dispatch('to_utc')(column)) }}
{%- endmacro %}

{#- A text by ISO 8601, or a typed time, as a TIMESTAMP in UTC; without an offset it is UTC (the session's time zone).
    null when it can't be read, or when it lies outside 1900 to 2199: a typo, or a mark such as infinity. Over
    microseconds, since a conversion through a time zone costs thirty times as much. -#}
{% macro duckdb__to_utc(column) -%}
    {%- set with_seconds = "regexp_replace(cast(" ~ column ~ " as varchar), '^([0-9-]{10}[T ][0-9]{2}:[0-9]{2})(Z|[+-].*)$', '\\1:00\\2')" -%}
    {%- set instant = "coalesce(try_cast(" ~ column ~ " as timestamptz), try_cast(" ~ with_seconds ~ " as timestamptz))" -%}
    case
        when {{ instant }} >= timestamptz '1900-01-01 00:00:00+00' and {{ instant }} < timestamptz '2200-01-01 00:00:00+00'
            then make_timestamp(epoch_us({{ instant }}))
    end
{%- endmacro %}


{% macro local_date(column) -%}
    {{ return(adapter.dispatch('local_date')(column)) }}
{%- endmacro %}

{#- The calendar date of a UTC timestamp in the reporting time zone. -#}
{% macro duckdb__local_date(column) -%}
    {%- set time_zone = var('reporting_timezone') -%}
    {%- if time_zone == 'UTC' -%}
    cast({{ column }} as date)
    {%- else -%}
    cast(timezone({{ literal(time_zone) }}, timezone('UTC', {{ column }})) as date)
    {%- endif -%}
{%- endmacro %}


{% macro start_of_day_in_utc(date) -%}
    {{ return(adapter.dispatch('start_of_day_in_utc')(date)) }}
{%- endmacro %}

{#- The instant at which a date begins in the reporting time zone, as a TIMESTAMP in UTC. -#}
{% macro duckdb__start_of_day_in_utc(date) -%}
    timezone('UTC', timezone({{ literal(var('reporting_timezone')) }}, cast({{ date }} as timestamp)))
{%- endmacro %}


{% macro ratio(part, whole) -%}
    {{ return(adapter.dispatch('ratio')(part, whole)) }}
{%- endmacro %}

{#- A whole number's share of another one, rounded half up to 6 decimals; null where the whole is 0. In whole numbers
    throughout: a double would round on its binary value. -#}
{% macro duckdb__ratio(part, whole) -%}
    cast(
        cast((2000000 * ({{ part }}) + ({{ whole }})) // nullif(2 * ({{ whole }}), 0) as decimal(18, 0))
        * cast(0.000001 as decimal(7, 6)) as decimal(9, 6)
    )
{%- endmacro %}


{% macro to_whole_number(column) -%}
    {{ return(adapter.dispatch('to_whole_number')(column)) }}
{%- endmacro %}

{#- A text or number as BIGINT; null when it can't be read or has a fraction. '3.0' is 3: that is how a table tool
    writes a whole number in a column with gaps. What is a BIGINT already costs nothing. -#}
{% macro duckdb__to_whole_number(column) -%}
    case
        when typeof({{ column }}) = 'BIGINT' or try_cast({{ column }} as double) = floor(try_cast({{ column }} as double))
            then try_cast({{ column }} as bigint)
    end
{%- endmacro %}


{% macro is_matching(column, pattern) -%}
    {{ return(adapter.dispatch('is_matching')(column, pattern)) }}
{%- endmacro %}

{#- Whether the whole text matches the regular expression. -#}
{% macro duckdb__is_matching(column, pattern) -%}
    regexp_full_match({{ column }}, {{ literal(pattern) }})
{%- endmacro %}


{% macro row_hash(columns) -%}
    {{ return(adapter.dispatch('row_hash')(columns)) }}
{%- endmacro %}

{#- A 64-bit hash of some columns, for finding candidates cheaply: equal rows have equal hashes, not the other way. -#}
{% macro duckdb__row_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}


{% macro bits_of_small_numbers(column) -%}
    {{ return(adapter.dispatch('bits_of_small_numbers')(column)) }}
{%- endmacro %}

{#- A bit for each different value from 0 to 63 that a group holds: much cheaper than count(distinct). -#}
{% macro duckdb__bits_of_small_numbers(column) -%}
    bit_or(cast(1 as ubigint) << cast({{ column }} as ubigint))
{%- endmacro %}


{% macro number_of_bits(bits) -%}
    {{ return(adapter.dispatch('number_of_bits')(bits)) }}
{%- endmacro %}

{#- How many different values the bits of bits_of_small_numbers() stand for. -#}
{% macro duckdb__number_of_bits(bits) -%}
    bit_count({{ bits }})
{%- endmacro %}


{% macro all_bits(bits) -%}
    {{ return(adapter.dispatch('all_bits')(bits)) }}
{%- endmacro %}

{#- The bits that any row of a group has. -#}
{% macro duckdb__all_bits(bits) -%}
    bit_or({{ bits }})
{%- endmacro %}


{% macro row_as_json(columns) -%}
    {{ return(adapter.dispatch('row_as_json')(columns)) }}
{%- endmacro %}

{#- A row's columns as the text of a JSON object. -#}
{% macro duckdb__row_as_json(columns) -%}
    cast(json_object({% for column in columns %}'{{ column }}', {{ column }}{{ ', ' if not loop.last }}{% endfor %}) as varchar)
{%- endmacro %}


{% macro is_json(column) -%}
    {{ return(adapter.dispatch('is_json')(column)) }}
{%- endmacro %}

{#- Whether a text is a JSON value; false for null. -#}
{% macro duckdb__is_json(column) -%}
    coalesce(json_valid({{ column }}), false)
{%- endmacro %}


{% macro is_json_array(column) -%}
    {{ return(adapter.dispatch('is_json_array')(column)) }}
{%- endmacro %}

{#- Whether a text is a JSON array; false for null. -#}
{% macro duckdb__is_json_array(column) -%}
    case when json_valid({{ column }}) then json_type({{ column }}) = 'ARRAY' else false end
{%- endmacro %}


{% macro json_text(column, path) -%}
    {{ return(adapter.dispatch('json_text')(column, path)) }}
{%- endmacro %}

{#- The value at a dotted path of a JSON text, as text; null where nothing is there. -#}
{% macro duckdb__json_text(column, path) -%}
    json_extract_string({{ column }}, {{ literal('$."' ~ path.split('.') | join('"."') ~ '"') }})
{%- endmacro %}


{% macro json_array_length_at(column, path) -%}
    {{ return(adapter.dispatch('json_array_length_at')(column, path)) }}
{%- endmacro %}

{#- The length of the JSON array at a dotted path; null where no array is there. -#}
{% macro duckdb__json_array_length_at(column, path) -%}
    {%- set json_path = literal('$."' ~ path.split('.') | join('"."') ~ '"') -%}
    case
        when json_type({{ column }}, {{ json_path }}) = 'ARRAY'
            then json_array_length({{ column }}, {{ json_path }})
    end
{%- endmacro %}


{% macro json_elements(relation, column, keep) -%}
    {{ return(adapter.dispatch('json_elements')(relation, column, keep)) }}
{%- endmacro %}

{#- One row per element of the JSON array in `column`, with its position from 0 (element_index) and its JSON text
    (element), beside the columns to keep. A row whose column is null or no array has no elements. -#}
{% macro duckdb__json_elements(relation, column, keep) -%}
    select
        {{ keep | join(', ') }},
        unnest(range(cast(json_array_length({{ column }}) as bigint))) as element_index,
        cast(unnest(from_json({{ column }}, '["JSON"]')) as varchar) as element
    from {{ relation }}
    where {{ duckdb__is_json_array(column) }}
{%- endmacro %}


{% macro date_spine(start_date, end_date, part) -%}
    {{ return(adapter.dispatch('date_spine')(start_date, end_date, part)) }}
{%- endmacro %}

{#- The dates from start to end, both included, by day or by month, as an expression that yields a row each. -#}
{% macro duckdb__date_spine(start_date, end_date, part) -%}
    cast(unnest(generate_series(cast({{ start_date }} as timestamp), cast({{ end_date }} as timestamp), interval '1' {{ part }})) as date)
{%- endmacro %}
