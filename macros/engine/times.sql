{#- Decision: docs/decisions/two-engines.md -#}

{% macro to_utc(column) -%}
    {{ return(adapter.dispatch('to_utc')(column)) }}
{%- endmacro %}

{% macro duckdb__to_utc(column) -%}
    case
        when typeof({{ column }}) <> 'DATE' and typeof({{ column }}) not like 'TIMESTAMP%'
            then {{ duckdb__text_to_utc(column) }}
        when year(try_cast({{ column }} as timestamptz)) between 1900 and 2199
            then make_timestamp(epoch_us(try_cast({{ column }} as timestamptz)))
    end
{%- endmacro %}

{% macro spark__to_utc(column) -%}
    {{ return(spark__text_to_utc(column)) }}
{%- endmacro %}


{% macro text_to_utc(column) -%}
    {{ return(adapter.dispatch('text_to_utc')(column)) }}
{%- endmacro %}

{#- Calculates in microseconds: a conversion with a time zone costs thirty times as much. -#}
{% macro duckdb__text_to_utc(column) -%}
    {%- set text = "trim(cast(" ~ column ~ " as varchar))" -%}
    {%- set with_seconds = "regexp_replace(replace(" ~ text
        ~ ", ',', '.'), '^([0-9-]{10}[T ][0-9]{2}:[0-9]{2}) ?(Z|[+-].*)?$', '\\1:00\\2')" -%}
    case
        when regexp_full_match({{ text }}, '{{ iso_8601() }}')
            then make_timestamp(epoch_us(coalesce(
                try_cast({{ text }} as timestamptz),
                try_cast(
                    regexp_replace({{ with_seconds }}, ' ?([+-][0-9]{2}):?([0-9]{2})$', '\1:\2') as timestamptz
                )
            )))
    end
{%- endmacro %}

{#- Each step is written only once: Spark would plan and compute a repeated step again. -#}
{% macro spark__text_to_utc(column) -%}
    {%- set found = "regexp_extract(trim(cast(" ~ column ~ " as string)), '^" ~ iso_8601() ~ "$', 0)" -%}
    {%- set seconds = "regexp_replace(replace(" ~ found
        ~ ", ',', '.'), '^([0-9-]{10}[T ][0-9]{2}:[0-9]{2}) ?(Z|[+-].*)?$', '$1:00$2')" -%}
    cast(
        try_cast(regexp_replace({{ seconds }}, ' ?([+-][0-9]{2}):?([0-9]{2})$', '$1:$2') as timestamp_ltz)
        as timestamp_ntz
    )
{%- endmacro %}


{% macro iso_8601() -%}
    {{ return(
        "(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"
        ~ "([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?"
        ~ " ?(Z|[+-]((0[0-9]|1[0-3])(:?[0-5][0-9])?|14(:?00)?))?)?"
    ) }}
{%- endmacro %}


{% macro local_date(column, time_zone=none) -%}
    {{ return(adapter.dispatch('local_date')(column, time_zone or var('reporting_timezone'))) }}
{%- endmacro %}

{% macro duckdb__local_date(column, time_zone) -%}
    {%- if time_zone == 'UTC' -%}
    cast({{ column }} as date)
    {%- else -%}
    cast(timezone({{ literal(time_zone) }}, timezone('UTC', {{ column }})) as date)
    {%- endif -%}
{%- endmacro %}

{% macro spark__local_date(column, time_zone) -%}
    cast(convert_timezone('UTC', {{ literal(time_zone) }}, {{ column }}) as date)
{%- endmacro %}


{% macro start_of_day_in_utc(date, time_zone=none) -%}
    {{ return(adapter.dispatch('start_of_day_in_utc')(date, literal(time_zone or var('reporting_timezone')))) }}
{%- endmacro %}

{% macro duckdb__start_of_day_in_utc(date, time_zone) -%}
    {%- set midnight = "timezone(" ~ time_zone ~ ", cast(" ~ date ~ " as timestamp))" -%}
    case
        when cast(timezone({{ time_zone }}, {{ midnight }} - interval '1' hour) as date) = {{ date }}
            then timezone('UTC', {{ midnight }} - interval '1' hour)
        else timezone('UTC', {{ midnight }})
    end
{%- endmacro %}

{% macro spark__start_of_day_in_utc(date, time_zone) -%}
    {%- set midnight = "convert_timezone(" ~ time_zone ~ ", 'UTC', cast(" ~ date ~ " as timestamp_ntz))" -%}
    case
        when cast(convert_timezone('UTC', {{ time_zone }}, {{ midnight }} - interval '1' hour) as date) = {{ date }}
            then {{ midnight }} - interval '1' hour
        else {{ midnight }}
    end
{%- endmacro %}


{% macro to_date(column) -%}
    coalesce(
        try_cast(
            case
                when {{ is_matching('cast(' ~ column ~ ' as string)', '[0-9]{4}-[0-9]{2}') }}
                    then cast({{ column }} as string) || '-01'
                when {{ is_matching(
                    'cast(' ~ column ~ ' as string)', '[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]00:00(:00([.]0+)?)?)?'
                ) }}
                    then substr(cast({{ column }} as string), 1, 10)
            end as date
        ),
        {{ local_date(to_utc(column)) }}
    )
{%- endmacro %}


{% macro days_between(first_day, next_day) -%}
    {{ return(adapter.dispatch('days_between')(first_day, next_day)) }}
{%- endmacro %}

{% macro duckdb__days_between(first_day, next_day) -%}
    date_diff('day', {{ first_day }}, {{ next_day }})
{%- endmacro %}

{% macro spark__days_between(first_day, next_day) -%}
    datediff({{ next_day }}, {{ first_day }})
{%- endmacro %}


{% macro hours_between(earlier, later) -%}
    {{ return(adapter.dispatch('hours_between')(earlier, later)) }}
{%- endmacro %}

{% macro duckdb__hours_between(earlier, later) -%}
    date_sub('hour', {{ earlier }}, {{ later }})
{%- endmacro %}

{% macro spark__hours_between(earlier, later) -%}
    timestampdiff(HOUR, {{ earlier }}, {{ later }})
{%- endmacro %}


{% macro date_spine(start_date, end_date, part) -%}
    {{ return(adapter.dispatch('date_spine')(start_date, end_date, part)) }}
{%- endmacro %}

{% macro duckdb__date_spine(start_date, end_date, part) -%}
    cast(unnest(generate_series(
        cast({{ start_date }} as timestamp), cast({{ end_date }} as timestamp), interval '1' {{ part }}
    )) as date)
{%- endmacro %}

{#- Spark raises an error if the end is before the start. -#}
{% macro spark__date_spine(start_date, end_date, part) -%}
    explode(
        case
            when cast({{ start_date }} as date) <= cast({{ end_date }} as date)
                then sequence(cast({{ start_date }} as date), cast({{ end_date }} as date), interval '1' {{ part }})
        end
    )
{%- endmacro %}


{% macro utc_now() -%}
    {{ return(
        "cast(" ~ literal(modules.datetime.datetime.now(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S'))
        ~ " as timestamp)"
    ) }}
{%- endmacro %}
