{#- The condition of a scope, for what a model reads: the engine does not push it below date_trunc(), some joins and
    what is read twice, and each run would read all days. -#}
{% macro in_affected(scope) -%}
    {%- set is_billed = scope in billed_scopes() -%}
    {%- if not execute -%}
        {%- do ref('affected_dates') -%}
        {%- do ref('stg_term_changes') if is_billed -%}
    {%- endif -%}
    {%- if is_recomputed(scope) -%}
    true
    {%- elif is_billed -%}
    {{ is_billed_anew(scope, ref('affected_dates'), ref('stg_term_changes')) }}
    {%- else -%}
    {{ is_affected(scope, ref('affected_dates')) }}
    {%- endif -%}
{%- endmacro %}

{#- By scope of dates: the column, and of two dates the first and the last that they affect. -#}
{% macro scopes_of_dates() -%}
    {%- set month_of = "cast(date_trunc('month', %s) as date)" -%}
    {{ return({
        'date': ['usage_date', '%s', '%s'],
        'month': ['usage_month', month_of, month_of],
        'date_of_month': ['usage_date', month_of, 'last_day(%s)'],
        'date_near_month': [
            'usage_date', "cast(date_trunc('month', %s) - interval '1' day as date)",
            "cast(last_day(%s) + interval '1' day as date)",
        ],
    }) }}
{%- endmacro %}

{% macro is_affected(scope, affected) -%}
    {%- set column, first_part, last_part = scopes_of_dates()[scope] -%}
    {%- set conditions, days = [column ~ " is null"], [] -%}
    {%- set rows = run_query(
        "select distinct " ~ first_part | format('first_date') ~ " as first_part, " ~ last_part | format('last_date')
        ~ " as last_part from " ~ affected ~ " order by 1, 2"
    ).rows -%}
    {%- for first, last in rows -%}
        {%- if first == last -%}
            {%- do days.append("date '" ~ first ~ "'") -%}
        {%- else -%}
            {%- do conditions.append(column ~ " between date '" ~ first ~ "' and date '" ~ last ~ "'") -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if days -%}
        {%- do conditions.append(column ~ " in (" ~ days | join(', ') ~ ")") -%}
    {%- endif -%}
    ({{ conditions | join(' or ') }})
{%- endmacro %}


{#- By scope of what is billed, the column. -#}
{% macro billed_scopes() -%}
    {{ return({'billed_month': 'usage_month', 'billed_date': 'usage_date', 'billing_period': 'period_from'}) }}
{%- endmacro %}

{#- Usage of a day counts in the rest of its billing period, and decides with which month a contract's periods begin.
    Replaced are the months and periods that begin at most a month before the month of the first day that is affected,
    or on which a changed term began: docs/decisions/billing-from-a-day.md -#}
{% macro is_billed_anew(scope, affected, term_changes) -%}
    {%- set column = billed_scopes()[scope] -%}
    {%- set first_date = run_query(
        "select cast(date_trunc('month', min(first_date)) - interval '1' month as date) from ("
        ~ "select first_date from " ~ affected ~ " union all select effective_from from " ~ term_changes
        ~ ") as changed"
    ).columns[0].values()[0] -%}
    {{ "false" if first_date is none else column ~ " >= date '" ~ first_date ~ "'" }}
{%- endmacro %}


{% macro recompute_month() -%}
    cast({{ literal(var('recompute_month') ~ '-01') if var('recompute_month') else 'null' }} as date)
{%- endmacro %}
