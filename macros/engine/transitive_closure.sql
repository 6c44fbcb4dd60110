{% macro transitive_closure(start, links, key, link_from, link_to) -%}
    {{ return(adapter.dispatch('transitive_closure')(start, links, key, link_from, link_to)) }}
{%- endmacro %}


{% macro duckdb__transitive_closure(start, links, key, link_from, link_to) -%}
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

{#- Spark's recursion does not remove duplicates: each path is followed until it would reach one of its own keys. -#}
{% macro spark__transitive_closure(start, links, key, link_from, link_to) -%}
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
