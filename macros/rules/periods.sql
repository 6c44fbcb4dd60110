{#- Joins on rules: docs/decisions/rule-joins.md -#}

{#- Two plain comparisons keep an outer join a hash join; an `or` would make it a nested loop. -#}
{% macro is_in_force(alias, on_date) -%}
    {{ alias }}.effective_from <= {{ on_date }}
    and {{ on_date }} < coalesce({{ alias }}.effective_to, cast('9999-12-31' as date))
{%- endmacro %}


{% macro is_in_period(alias, on_date) -%}
    {{ on_date }} >= {{ alias }}.period_from
    and {{ on_date }} < {{ alias }}.period_to
{%- endmacro %}


{% macro rule_date(own_date) -%}
    {%- if var('rules_as_of', none) -%}
    cast({{ literal(var('rules_as_of')) }} as date)
    {%- else -%}
    {{ own_date }}
    {%- endif -%}
{%- endmacro %}
