{% macro rules_in_force(rules, key, columns) -%}
{%- set has_same_key -%}
    {%- for column in key -%}
        %(one)s.{{ column }} is not distinct from %(other)s.{{ column }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endset -%}
{%- set others = columns | reject('in', ['effective_from', 'effective_to']) | list -%}
with

published as (

    select * from {{ ref(rules) }}

),

overrides as (

    select
        *,
        reason || ' (' || author || ')' as rule_override
    from {{ ref('override_' ~ rules) }}
    where {{ boolean_option('rule_overrides') }}

),

-- The days on which a rule of some key begins or ends; 9999-12-31 for an open end.
days as (
    {% for relation in ['published', 'overrides'] %}
    {% for day in ['effective_from', "coalesce(effective_to, cast('9999-12-31' as date))"] %}
    select
        {{ key | join(', ') }},
        {{ day }} as day
    from {{ relation }}
    {{ 'union' if not loop.last }}
    {% endfor %}
    {{ 'union' if not loop.last }}
    {% endfor %}
),

periods as (

    select
        *,
        lead(day) over (partition by {{ key | join(', ') }} order by day) as next_day
    from days

),

published_in_force as (

    select
        {% for column in others %}
        published.{{ column }},
        {% endfor %}
        periods.day as effective_from,
        case when periods.next_day < cast('9999-12-31' as date) then periods.next_day end as effective_to

    from published
    inner join periods
        on
            {{ has_same_key % {'one': 'published', 'other': 'periods'} }}
            and published.effective_from <= periods.day
            and periods.day < coalesce(published.effective_to, cast('9999-12-31' as date))
    left join overrides
        on
            {{ has_same_key % {'one': 'periods', 'other': 'overrides'} }}
            and {{ is_in_force('overrides', 'periods.day') }}
    where overrides.effective_from is null

),

rules_in_force as (

    select
        {{ columns | join(', ') }},
        cast(null as string) as rule_override
    from published_in_force

    union all

    select
        {{ columns | join(', ') }},
        rule_override
    from overrides

)

select * from rules_in_force
{%- endmacro %}


{% macro check_overrides() -%}
    {%- if execute -%}
        {{ return(adapter.dispatch('check_overrides')()) }}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__check_overrides() -%}
    {%- set problems = run_query(
        "select override_problems(" ~ literal(project_path()) ~ ", "
        ~ literal(project_path('seeds/rules/overrides')) ~ ")"
    ).columns[0].values()[0] -%}
    {%- if problems -%}
        {{ exceptions.raise_compiler_error("The overrides of the rule book are invalid:\n" ~ problems) }}
    {%- endif -%}
    {%- set problems = run_query("select terms_problems(" ~ literal(project_path()) ~ ")").columns[0].values()[0] -%}
    {%- if problems -%}
        {{ exceptions.raise_compiler_error("The rule book's terms are invalid:\n" ~ problems) }}
    {%- endif -%}
{%- endmacro %}

{#- Spark has no function that reads the project's files: run dbt run-operation check_overrides on the default target.
    The data tests of the rules in force run on Spark, too. -#}
{% macro spark__check_overrides() -%}
{%- endmacro %}
