{#- Decision: docs/decisions/two-engines.md -#}
{#- What an engine does differently, each with the values that tests/data/engine_macros.sql compares it with. -#}

{% macro literal(value) -%}
    {{ return(adapter.dispatch('literal')(value)) }}
{%- endmacro %}

{#- A text as an SQL literal, whatever is in it. -#}
{% macro duckdb__literal(value) -%}
    {{ return("'" ~ (value | string).replace("'", "''") ~ "'") }}
{%- endmacro %}

{#- Spark reads escapes in texts. -#}
{% macro spark__literal(value) -%}
    {{ return("'" ~ (value | string).replace("\\", "\\\\").replace("'", "\\'") ~ "'") }}
{%- endmacro %}


{% macro to_utc(column) -%}
    {{ return(adapter.dispatch('to_utc')(column)) }}
{%- endmacro %}

{#- A typed time, or a text, as a TIMESTAMP in UTC: see text_to_utc(). null outside 1900 to 2199: a typo, or a mark such as
    infinity. -#}
{% macro duckdb__to_utc(column) -%}
    case
        when typeof({{ column }}) <> 'DATE' and typeof({{ column }}) not like 'TIMESTAMP%' then {{ duckdb__text_to_utc(column) }}
        when year(try_cast({{ column }} as timestamptz)) between 1900 and 2199 then make_timestamp(epoch_us(try_cast({{ column }} as timestamptz)))
    end
{%- endmacro %}

{% macro spark__to_utc(column) -%}
    {{ return(spark__text_to_utc(column)) }}
{%- endmacro %}


{% macro text_to_utc(column) -%}
    {{ return(adapter.dispatch('text_to_utc')(column)) }}
{%- endmacro %}

{#- A text by ISO 8601 (2026-03-10T12:00:00+02:00, seconds and their fraction optional, a blank for the T or before the
    offset allowed) as a TIMESTAMP in UTC; without an offset it is UTC (the session's time zone). null when it can't be read:
    nothing else is guessed, no name of a time zone, no other order. Over microseconds, since a conversion through a time zone
    costs thirty times as much. -#}
{% macro duckdb__text_to_utc(column) -%}
    {%- set text = "trim(cast(" ~ column ~ " as varchar))" -%}
    {%- set with_seconds = "regexp_replace(replace(" ~ text ~ ", ',', '.'), '^([0-9-]{10}[T ][0-9]{2}:[0-9]{2}) ?(Z|[+-].*)?$', '\\1:00\\2')" -%}
    case
        when regexp_full_match({{ text }}, '{{ iso_8601() }}')
            then make_timestamp(epoch_us(coalesce(try_cast({{ text }} as timestamptz), try_cast(regexp_replace({{ with_seconds }}, ' ?([+-][0-9]{2}):?([0-9]{2})$', '\1:\2') as timestamptz))))
    end
{%- endmacro %}

{#- Each step written once: Spark would compute a repeated one again, and take long to plan it. -#}
{% macro spark__text_to_utc(column) -%}
    {%- set found = "regexp_extract(trim(cast(" ~ column ~ " as string)), '^" ~ iso_8601() ~ "$', 0)" -%}
    {%- set seconds = "regexp_replace(replace(" ~ found ~ ", ',', '.'), '^([0-9-]{10}[T ][0-9]{2}:[0-9]{2}) ?(Z|[+-].*)?$', '$1:00$2')" -%}
    cast(try_cast(regexp_replace({{ seconds }}, ' ?([+-][0-9]{2}):?([0-9]{2})$', '$1:$2') as timestamp_ltz) as timestamp_ntz)
{%- endmacro %}

{#- A time by ISO 8601 in its extended form, as a regular expression. No offset is farther from UTC than 14 hours; a year
    before 1900 or after 2199 is a typo. -#}
{% macro iso_8601() -%}
    {{ return("(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)? ?(Z|[+-]((0[0-9]|1[0-3])(:?[0-5][0-9])?|14(:?00)?))?)?") }}
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

{% macro spark__local_date(column) -%}
    cast(convert_timezone('UTC', {{ literal(var('reporting_timezone')) }}, {{ column }}) as date)
{%- endmacro %}


{% macro start_of_day_in_utc(date) -%}
    {{ return(adapter.dispatch('start_of_day_in_utc')(date)) }}
{%- endmacro %}

{#- The instant at which a date begins in the reporting time zone, as a TIMESTAMP in UTC. Where clocks go back at midnight
    there are two midnights (America/Havana): the date begins with the earlier one, an hour before the one that engines take. -#}
{% macro duckdb__start_of_day_in_utc(date) -%}
    {%- set time_zone = literal(var('reporting_timezone')) -%}
    {%- set midnight = "timezone(" ~ time_zone ~ ", cast(" ~ date ~ " as timestamp))" -%}
    case
        when cast(timezone({{ time_zone }}, {{ midnight }} - interval '1' hour) as date) = {{ date }} then timezone('UTC', {{ midnight }} - interval '1' hour)
        else timezone('UTC', {{ midnight }})
    end
{%- endmacro %}

{% macro spark__start_of_day_in_utc(date) -%}
    {%- set time_zone = literal(var('reporting_timezone')) -%}
    {%- set midnight = "convert_timezone(" ~ time_zone ~ ", 'UTC', cast(" ~ date ~ " as timestamp_ntz))" -%}
    case
        when cast(convert_timezone('UTC', {{ time_zone }}, {{ midnight }} - interval '1' hour) as date) = {{ date }} then {{ midnight }} - interval '1' hour
        else {{ midnight }}
    end
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

{% macro spark__ratio(part, whole) -%}
    cast(
        cast((2000000 * ({{ part }}) + ({{ whole }})) div nullif(2 * ({{ whole }}), 0) as decimal(18, 0))
        * cast(0.000001 as decimal(7, 6)) as decimal(9, 6)
    )
{%- endmacro %}


{% macro to_whole_number(column) -%}
    {{ return(adapter.dispatch('to_whole_number')(column)) }}
{%- endmacro %}

{#- A text or number as BIGINT; null when it can't be read, has a fraction, or is beyond a million millions: no count is,
    and sums of such numbers would not fit. '3.0' is 3: that is how a table tool writes a whole number in a column with
    gaps. What is a BIGINT already costs next to nothing. -#}
{% macro duckdb__to_whole_number(column) -%}
    case
        when
            (typeof({{ column }}) = 'BIGINT' or try_cast({{ column }} as double) = floor(try_cast({{ column }} as double)))
            and try_cast({{ column }} as bigint) between -{{ largest_number() }} and {{ largest_number() }}
            then try_cast({{ column }} as bigint)
    end
{%- endmacro %}

{#- By way of a decimal, since Spark casts a text with a point to no whole number. -#}
{% macro spark__to_whole_number(column) -%}
    {%- set number = "try_cast(regexp_replace(cast(" ~ column ~ " as string), '(?<=[0-9])_(?=[0-9])', '') as decimal(38, 18))" -%}
    case
        when {{ number }} = floor({{ number }}) and {{ number }} between -{{ largest_number() }} and {{ largest_number() }}
            then try_cast({{ number }} as bigint)
    end
{%- endmacro %}

{#- The largest count that is read as one. -#}
{% macro largest_number() -%}
    {{ return('1000000000000') }}
{%- endmacro %}


{#- A text or number as a decimal; null when it can't be read. -#}
{% macro to_decimal(column, type) -%}
    {{ return("try_cast(" ~ column ~ " as " ~ type ~ ")") }}
{%- endmacro %}


{#- A text, number or boolean as BOOLEAN, in every usual spelling and letter case; null when it can't be read. -#}
{% macro to_boolean(column) -%}
    case
        when {{ is_one_of('cast(' ~ column ~ ' as string)', true_words()) }} then true
        when {{ is_one_of('cast(' ~ column ~ ' as string)', false_words()) }} then false
    end
{%- endmacro %}

{% macro true_words() -%}
    {{ return(['true', 't', 'yes', 'y', 'on', '1', '1.0']) }}
{%- endmacro %}

{% macro false_words() -%}
    {{ return(['false', 'f', 'no', 'n', 'off', '0', '0.0']) }}
{%- endmacro %}


{#- Whether a text, without blanks around it and in any letter case, is one of the words. As one search in one text: to DuckDB a
    list of so many words is a join. -#}
{% macro is_one_of(column, words) -%}
    instr({{ literal('\x1f' ~ words | map('lower') | join('\x1f') ~ '\x1f') }}, chr(31) || lower(trim({{ column }})) || chr(31)) > 0
{%- endmacro %}


{% macro to_text(column) -%}
    {{ return(adapter.dispatch('to_text')(column)) }}
{%- endmacro %}

{#- A plain value as text: a whole number without a point that only zeros follow (78.0 is 78: ids that a table tool keeps as
    floats), bytes as the UTF-8 that they hold. null where bytes hold none. A text stays as it is. -#}
{% macro duckdb__to_text(column) -%}
    case
        when typeof({{ column }}) = 'VARCHAR' then cast({{ column }} as varchar)
        when typeof({{ column }}) = 'BLOB' then try(decode(try_cast({{ column }} as blob)))
        when (typeof({{ column }}) in ('DOUBLE', 'FLOAT') or typeof({{ column }}) like 'DECIMAL%') and try_cast({{ column }} as hugeint) = try_cast({{ column }} as double)
            then cast(try_cast({{ column }} as hugeint) as varchar)
        else cast({{ column }} as varchar)
    end
{%- endmacro %}

{% macro spark__to_text(column) -%}
    case
        when typeof({{ column }}) in ('double', 'float') and try_cast({{ column }} as decimal(38, 0)) = try_cast({{ column }} as double)
            then cast(try_cast({{ column }} as decimal(38, 0)) as string)
        else cast({{ column }} as string)
    end
{%- endmacro %}


{#- A text, or null where it is only a mark of "no value" (the var null_marks), in any letter case and with blanks around.
    Short texts alone are compared: no mark is longer. -#}
{% macro without_null_mark(column) -%}
    case when length({{ column }}) > 16 or not {{ is_one_of(column, [''] + var('null_marks') | map('string') | map('trim') | list) }} then {{ column }} end
{%- endmacro %}


{% macro as_text(column) -%}
    {{ return(adapter.dispatch('as_text')(column)) }}
{%- endmacro %}

{#- A value as text; a decimal with all its decimals. -#}
{% macro duckdb__as_text(column) -%}
    cast({{ column }} as string)
{%- endmacro %}

{#- Spark writes small decimals with an exponent, where a type has more than six decimals. -#}
{% macro spark__as_text(column) -%}
    case
        when typeof({{ column }}) = 'decimal(18,9)'
            then format_number(cast(cast({{ column }} as string) as decimal(18, 9)), '0.000000000')
        else cast({{ column }} as string)
    end
{%- endmacro %}


{% macro is_matching(column, pattern) -%}
    {{ return(adapter.dispatch('is_matching')(column, pattern)) }}
{%- endmacro %}

{#- Whether the whole text matches the regular expression. -#}
{% macro duckdb__is_matching(column, pattern) -%}
    regexp_full_match({{ column }}, {{ literal(pattern) }})
{%- endmacro %}

{#- Java's $ matches before a last line break, too. -#}
{% macro spark__is_matching(column, pattern) -%}
    {{ column }} rlike {{ literal('^(?:' ~ pattern ~ ')(?!(?s:.))') }}
{%- endmacro %}


{% macro row_hash(columns) -%}
    {{ return(adapter.dispatch('row_hash')(columns)) }}
{%- endmacro %}

{#- A 64-bit hash of some columns, for finding candidates cheaply: equal rows have equal hashes, not the other way. -#}
{% macro duckdb__row_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}

{#- Spark passes nulls over, so that (a, null) and (null, a) would be alike. -#}
{% macro spark__row_hash(columns) -%}
    xxhash64({% for column in columns %}{{ column }}, {{ column }} is null{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}


{% macro hash_type() -%}
    {{ return(adapter.dispatch('hash_type')()) }}
{%- endmacro %}

{#- The type of row_hash(), and of bits_of_small_numbers(). -#}
{% macro duckdb__hash_type() -%}
    {{ return('ubigint') }}
{%- endmacro %}

{#- Spark has no numbers without a sign. -#}
{% macro spark__hash_type() -%}
    {{ return('bigint') }}
{%- endmacro %}


{% macro bits_of_small_numbers(column) -%}
    {{ return(adapter.dispatch('bits_of_small_numbers')(column)) }}
{%- endmacro %}

{#- A bit for each different value from 0 to 63 that a group holds: much cheaper than count(distinct). -#}
{% macro duckdb__bits_of_small_numbers(column) -%}
    bit_or(cast(1 as ubigint) << cast({{ column }} as ubigint))
{%- endmacro %}

{% macro spark__bits_of_small_numbers(column) -%}
    bit_or(shiftleft(cast(1 as bigint), cast({{ column }} as int)))
{%- endmacro %}


{% macro row_as_json(columns) -%}
    {{ return(adapter.dispatch('row_as_json')(columns)) }}
{%- endmacro %}

{#- A row's columns as the text of a JSON object. ``columns``: names, or names with the SQL of their values. -#}
{% macro duckdb__row_as_json(columns) -%}
    cast(json_object({% for column in columns %}'{{ column }}', {{ columns[column] if columns is mapping else column }}{{ ', ' if not loop.last }}{% endfor %}) as varchar)
{%- endmacro %}

{#- Written here, since Spark's own writes times in another way. -#}
{% macro spark__row_as_json(columns) -%}
    '{'
    {%- for column in columns %}
    {%- set value = columns[column] if columns is mapping else column %}
    || '"{{ column }}":' || coalesce(
        case
            when typeof({{ value }}) in ('string', 'date', 'timestamp_ntz')
                then substr(to_json(array(cast({{ value }} as string))), 2, length(to_json(array(cast({{ value }} as string)))) - 2)
            when typeof({{ value }}) = 'timestamp' then '"' || cast({{ value }} as string) || '+00"'
            else cast({{ value }} as string)
        end, 'null'
    ){{ " || ','" if not loop.last }}
    {%- endfor %}
    || '}'
{%- endmacro %}


{% macro whole_row_as_json(alias) -%}
    {{ return(adapter.dispatch('whole_row_as_json')(alias)) }}
{%- endmacro %}

{#- All columns of an aliased relation's row as the text of a JSON object. -#}
{% macro duckdb__whole_row_as_json(alias) -%}
    cast(to_json({{ alias }}) as varchar)
{%- endmacro %}

{% macro spark__whole_row_as_json(alias) -%}
    to_json(struct({{ alias }}.*))
{%- endmacro %}


{% macro is_json(column) -%}
    {{ return(adapter.dispatch('is_json')(column)) }}
{%- endmacro %}

{#- Whether a text is a JSON value; false for null. -#}
{% macro duckdb__is_json(column) -%}
    coalesce(json_valid({{ column }}), false)
{%- endmacro %}

{#- As the only element of an array: Spark's readers stop where a value ends, and look at nothing behind it. -#}
{% macro spark__is_json(column) -%}
    coalesce(json_array_length('[' || {{ column }} || ']') = 1, false)
{%- endmacro %}


{% macro is_json_array(column) -%}
    {{ return(adapter.dispatch('is_json_array')(column)) }}
{%- endmacro %}

{#- Whether a text is a JSON array; false for null. -#}
{% macro duckdb__is_json_array(column) -%}
    case when json_valid({{ column }}) then json_type({{ column }}) = 'ARRAY' else false end
{%- endmacro %}

{% macro spark__is_json_array(column) -%}
    ({{ spark__is_json(column) }} and json_array_length({{ column }}) is not null)
{%- endmacro %}


{% macro json_text(column, path) -%}
    {{ return(adapter.dispatch('json_text')(column, path)) }}
{%- endmacro %}

{#- The value at a dotted path of a JSON text, as text; null where nothing is there. -#}
{% macro duckdb__json_text(column, path) -%}
    json_extract_string({{ column }}, {{ literal('$."' ~ path.split('.') | join('"."') ~ '"') }})
{%- endmacro %}

{% macro spark__json_text(column, path) -%}
    get_json_object({{ column }}, {{ literal('$.' ~ path) }})
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

{#- As a variant, in which a text is told from the array that it holds. -#}
{% macro spark__json_array_length_at(column, path) -%}
    array_size(try_variant_get(try_parse_json({{ column }}), {{ literal('$.' ~ path) }}, 'array<variant>'))
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

{#- Spark takes the quotes off an element that is a text; as a variant it has them. -#}
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


{% macro date_spine(start_date, end_date, part) -%}
    {{ return(adapter.dispatch('date_spine')(start_date, end_date, part)) }}
{%- endmacro %}

{#- The dates from start to end, both included, by day or by month, as an expression that yields a row each. -#}
{% macro duckdb__date_spine(start_date, end_date, part) -%}
    cast(unnest(generate_series(cast({{ start_date }} as timestamp), cast({{ end_date }} as timestamp), interval '1' {{ part }})) as date)
{%- endmacro %}

{#- Spark takes an end before the start for an error. -#}
{% macro spark__date_spine(start_date, end_date, part) -%}
    explode(
        case
            when cast({{ start_date }} as date) <= cast({{ end_date }} as date)
                then sequence(cast({{ start_date }} as date), cast({{ end_date }} as date), interval '1' {{ part }})
        end
    )
{%- endmacro %}


{% macro transitive_closure(start, links, key, link_from, link_to) -%}
    {{ return(adapter.dispatch('reachable')(start, links, key, link_from, link_to)) }}
{%- endmacro %}

{#- The keys of `start`, and all that links lead to from there, each once; links may go in circles. -#}
{% macro duckdb__reachable(start, links, key, link_from, link_to) -%}
    with recursive

    reached as (

        select {{ key }} from {{ start }}

        union

        select links.{{ link_to }} as {{ key }}
        from reached
        inner join {{ links }} as links on reached.{{ key }} = links.{{ link_from }}

    )

    select {{ key }} from reached
{%- endmacro %}

{#- Spark's recursion keeps what it meets again: each way is followed until it would come back to itself. -#}
{% macro spark__reachable(start, links, key, link_from, link_to) -%}
    with recursive

    reached as (

        select
            {{ key }},
            array({{ key }}) as way
        from {{ start }}

        union all

        select
            links.{{ link_to }} as {{ key }},
            array_append(reached.way, links.{{ link_to }}) as way
        from reached
        inner join {{ links }} as links on reached.{{ key }} = links.{{ link_from }}
        where not array_contains(reached.way, links.{{ link_to }})

    )

    select distinct {{ key }} from reached
{%- endmacro %}


{% macro code_digest() -%}
    {{ return(adapter.dispatch('code_digest')()) }}
{%- endmacro %}

{#- A digest of the code that decides on figures: models, macros and the rule book. -#}
{% macro duckdb__code_digest() -%}
    {{ return(run_query("select code_digest(" ~ literal(project_path()) ~ ")").columns[0].values()[0]) }}
{%- endmacro %}

{#- Of what dbt knows of them: no function of Spark reads the project's files. -#}
{% macro spark__code_digest() -%}
    {%- set checksums = [env_var('PROJECT_REVISION', '')] -%}
    {%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed'] and 'raw_' not in node.name -%}
        {%- do checksums.append(node.name ~ node.checksum.checksum) -%}
    {%- endfor -%}
    {{ return(local_md5(checksums | sort | join(' '))) }}
{%- endmacro %}


{% macro project_revision() -%}
    {{ return(adapter.dispatch('project_revision')()) }}
{%- endmacro %}

{#- The project's git revision as an SQL expression; null where there is none. -#}
{% macro duckdb__project_revision() -%}
    {{ return("nullif(revision_of(" ~ literal(project_path()) ~ "), '')") }}
{%- endmacro %}

{#- Whoever deploys the project says it: no function of Spark asks git. -#}
{% macro spark__project_revision() -%}
    {{ return("nullif(" ~ literal(env_var('PROJECT_REVISION', '')) ~ ", '')") }}
{%- endmacro %}
