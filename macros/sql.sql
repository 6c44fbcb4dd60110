{#- Pieces of SQL that read the same on every engine. Joins on rules: docs/decisions/rule-joins.md -#}

{#- A rule row's half-open validity: in force from effective_from until, excluding, effective_to. Two plain comparisons,
    so that an outer join on it stays a hash join; with an `or` it becomes a nested loop. -#}
{% macro is_in_force(alias, on_date) -%}
    {{ alias }}.effective_from <= {{ on_date }}
    and {{ on_date }} < coalesce({{ alias }}.effective_to, cast('9999-12-31' as date))
{%- endmacro %}


{#- Whether the extracts of jobs reach back to a month's first day. The query has a relation job_days. -#}
{% macro is_covered(usage_month) -%}
    coalesce((select min(job_days.usage_date) from job_days) <= {{ usage_month }}, false)
{%- endmacro %}


{#- The date whose rules decide a unit of work: its own, unless the var rules_as_of fixes one for all. -#}
{% macro rule_date(own_date) -%}
    {%- if var('rules_as_of', none) -%}
    cast({{ literal(var('rules_as_of')) }} as date)
    {%- else -%}
    {{ own_date }}
    {%- endif -%}
{%- endmacro %}


{#- A calendar date as contracts and reports write it: '2026-01-31', or that day's midnight without an offset, is that
    date in every time zone; a month, '2026-01', is its first day; any other time is the date it has in the reporting
    time zone. -#}
{% macro to_date(column) -%}
    coalesce(
        try_cast(
            case
                when {{ is_matching('cast(' ~ column ~ ' as string)', '[0-9]{4}-[0-9]{2}') }}
                    then cast({{ column }} as string) || '-01'
                when {{ is_matching('cast(' ~ column ~ ' as string)', '[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]00:00(:00([.]0+)?)?)?') }}
                    then substr(cast({{ column }} as string), 1, 10)
            end as date
        ),
        {{ local_date(to_utc(column)) }}
    )
{%- endmacro %}


{#- Whether an account is one of the partner's own workspaces (G13). -#}
{% macro is_admin_account(column) -%}
    {%- set accounts = var('admin_account_ids') -%}
    {%- if accounts -%}
    {{ column }} in ({% for account in accounts %}{{ literal(account) }}{{ ', ' if not loop.last }}{% endfor %})
    {%- else -%}
    false
    {%- endif -%}
{%- endmacro %}


{#- The text by which two deliveries of a row that agree in everything else are put in order (G9). Joined by a character
    that comes before all others, so that an empty value is the least and no value runs on into the next. -#}
{% macro tiebreak_text(columns) -%}
    {%- for column in columns -%}
    coalesce({{ as_text(column) }}, ''){{ " || chr(31) || " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{% macro run_statements(statements) -%}
    {{ return(adapter.dispatch('run_statements')(statements)) }}
{%- endmacro %}

{#- Runs the statements, in order. On DuckDB in one call: dbt's own work around a call costs more than a small statement. -#}
{% macro duckdb__run_statements(statements) -%}
    {%- if statements -%}
        {%- do run_query(statements | join(';\n')) -%}
    {%- endif -%}
{%- endmacro %}

{% macro spark__run_statements(statements) -%}
    {%- for statement in statements -%}
        {%- do run_query(statement) -%}
    {%- endfor -%}
{%- endmacro %}
