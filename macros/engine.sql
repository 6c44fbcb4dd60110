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

{#- Spark reads times of day without a date, and words such as now: only what looks like a time is handed to it, with
    seconds, each step written once: Spark would compute a repeated one again, and take long to plan it. -#}
{% macro spark__to_utc(column) -%}
    {%- set time = "[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{1,2}([.][0-9]*)?)?(Z|[+-][0-9]{2}(:?[0-9]{2}){0,2}| [A-Za-z][A-Za-z_/]+)?)?" -%}
    {%- set found = "regexp_extract(trim(cast(" ~ column ~ " as string)), '^" ~ time ~ "$', 0)" -%}
    {%- set dashed = "regexp_replace(" ~ found ~ ", '^([0-9]{4})/([0-9]{1,2})/', '$1-$2-')" -%}
    {%- set instant = "try_cast(regexp_replace(" ~ dashed ~ ", '([T ][0-9]{1,2}:[0-9]{2})(Z|[+-].*)$', '$1:00$2') as timestamp_ltz)" -%}
    case
        when {{ instant }} between timestamp_ltz '1900-01-01 00:00:00+00:00' and timestamp_ltz '2199-12-31 23:59:59.999999+00:00'
            then cast({{ instant }} as timestamp_ntz)
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

{% macro spark__local_date(column) -%}
    cast(convert_timezone('UTC', {{ literal(var('reporting_timezone')) }}, {{ column }}) as date)
{%- endmacro %}


{% macro start_of_day_in_utc(date) -%}
    {{ return(adapter.dispatch('start_of_day_in_utc')(date)) }}
{%- endmacro %}

{#- The instant at which a date begins in the reporting time zone, as a TIMESTAMP in UTC. -#}
{% macro duckdb__start_of_day_in_utc(date) -%}
    timezone('UTC', timezone({{ literal(var('reporting_timezone')) }}, cast({{ date }} as timestamp)))
{%- endmacro %}

{% macro spark__start_of_day_in_utc(date) -%}
    convert_timezone({{ literal(var('reporting_timezone')) }}, 'UTC', cast({{ date }} as timestamp_ntz))
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

{#- A text or number as BIGINT; null when it can't be read or has a fraction. '3.0' is 3: that is how a table tool
    writes a whole number in a column with gaps. What is a BIGINT already costs nothing. -#}
{% macro duckdb__to_whole_number(column) -%}
    case
        when typeof({{ column }}) = 'BIGINT' or try_cast({{ column }} as double) = floor(try_cast({{ column }} as double))
            then try_cast({{ column }} as bigint)
    end
{%- endmacro %}

{#- By way of a decimal, since Spark casts a text with a point to no whole number. -#}
{% macro spark__to_whole_number(column) -%}
    {%- set number = "try_cast(regexp_replace(cast(" ~ column ~ " as string), '(?<=[0-9])_(?=[0-9])', '') as decimal(38, 18))" -%}
    case
        when typeof({{ column }}) = 'bigint' then cast({{ column }} as bigint)
        when {{ number }} = floor({{ number }}) then try_cast({{ number }} as bigint)
    end
{%- endmacro %}


{% macro to_boolean(column) -%}
    {{ return(adapter.dispatch('to_boolean')(column)) }}
{%- endmacro %}

{#- A text or boolean as BOOLEAN; null when it can't be read, as with blanks around it. -#}
{% macro duckdb__to_boolean(column) -%}
    try_cast({{ column }} as boolean)
{%- endmacro %}

{% macro spark__to_boolean(column) -%}
    case when cast({{ column }} as string) rlike '^[a-zA-Z0-9]*$' then try_cast({{ column }} as boolean) end
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

{#- A row's columns as the text of a JSON object. -#}
{% macro duckdb__row_as_json(columns) -%}
    cast(json_object({% for column in columns %}'{{ column }}', {{ column }}{{ ', ' if not loop.last }}{% endfor %}) as varchar)
{%- endmacro %}

{#- Written here, since Spark's own writes times in another way. -#}
{% macro spark__row_as_json(columns) -%}
    '{'
    {%- for column in columns %}
    || '"{{ column }}":' || coalesce(
        case
            when typeof({{ column }}) in ('string', 'date', 'timestamp_ntz')
                then substr(to_json(array(cast({{ column }} as string))), 2, length(to_json(array(cast({{ column }} as string)))) - 2)
            when typeof({{ column }}) = 'timestamp' then '"' || cast({{ column }} as string) || '+00"'
            else cast({{ column }} as string)
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


{% macro reachable(start, links, key, link_from, link_to) -%}
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
    {{ return(run_query("select code_digest(" ~ literal(flags.PROJECT_DIR) ~ ")").columns[0].values()[0]) }}
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
    {{ return("nullif(revision_of(" ~ literal(flags.PROJECT_DIR) ~ "), '')") }}
{%- endmacro %}

{#- Whoever deploys the project says it: no function of Spark asks git. -#}
{% macro spark__project_revision() -%}
    {{ return("nullif(" ~ literal(env_var('PROJECT_REVISION', '')) ~ ", '')") }}
{%- endmacro %}
