{#- Decision: docs/decisions/freshness.md -#}

{% macro is_freshness() -%}
    {{ return('freshness' in flags.WHICH) }}
{%- endmacro %}


{% macro newest_published() -%}
    select coalesce(max(newest_at), {{ utc_now() }}) as newest_at
    from audit.extract_freshness
    where extract_name = {{ literal(model.name) }}
{%- endmacro %}
