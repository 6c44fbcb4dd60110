{#- The strategy replace_scope: a run deletes the rows of its scope and inserts the new rows of the scope. -#}

{% macro replaces(scope) -%}
    {%- if not execute and scope in ['date', 'month'] -%}
        {%- do ref('affected_dates') -%}
    {%- elif not execute and scope in ['billed_month', 'billing_period'] -%}
        {%- do ref('affected_dates') -%}
        {%- do ref('stg_term_changes') -%}
    {%- elif not execute and scope != 'load' -%}
        {%- do ref('units_this_run') -%}
    {%- endif -%}
    {{ config(materialized='incremental', incremental_strategy='replace_scope', meta={'scope': scope}) }}
{%- endmacro %}


{% macro in_scope() -%}
    {%- if config.get('incremental_strategy') != 'replace_scope' -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set scope, intake = config.get('meta').scope, working_schema('intake') -%}
    {%- if scope == 'load' -%}
        {{ return(is_new_load()) }}
    {%- elif scope in ['date', 'month'] -%}
        {{ return(is_affected(scope, intake ~ '.affected_dates')) }}
    {%- elif scope in ['billed_month', 'billing_period'] -%}
        {{ return(is_billed_anew(
            scope, intake ~ '.affected_dates', working_schema('staging') ~ '.stg_term_changes'
        )) }}
    {%- endif -%}
    {{ return(is_unit(scope, intake ~ '.units_this_run')) }}
{%- endmacro %}


{#- The condition of a scope, for a data test of what a run has replaced. -#}
{% macro in_replaced(scope) -%}
    {%- set is_of_dates = scope in scopes_of_dates() or scope in billed_scopes() -%}
    {{ in_affected(scope) if is_of_dates else in_this_run(scope) }}
{%- endmacro %}


{#- Whether the materialization replaces all rows of the model. A dimension to which runs only append is also rebuilt if
    everything is recomputed. -#}
{% macro replaces_all() -%}
    {{ return(is_recomputed(config.get('meta', {}).get('scope', 'load'))) }}
{%- endmacro %}


{#- Whether the model's query would give the rows that stand: there is no news. Base, intake and staging hold what
    a run reads; audit and publication also tell what it found. -#}
{% macro keeps_rows(existing_relation) -%}
    {%- if existing_relation is none or not existing_relation.is_table
        or model.fqn[1] not in ['rules', 'metering', 'marts'] or config.get('meta', {}).get('is_never_kept') -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set run = run_query("select has_news from run_state.this_run").rows -%}
    {{ return(run and not run[0][0]) }}
{%- endmacro %}


{#- The new rows: the model's query, filtered to the scope. -#}
{% macro rows_in_scope(query, scope) -%}
    {%- if scope -%}
    select * from (
        {{ query }}
    ) as computed
    where {{ scope }}
    {%- else -%}
    {{ query }}
    {%- endif -%}
{%- endmacro %}


{#- DuckDB runs both statements in one transaction. -#}
{% macro get_incremental_replace_scope_sql(arguments) -%}
    {%- set columns = get_quoted_csv(arguments['dest_columns'] | map(attribute='name')) %}
    delete from {{ arguments['target_relation'] }} where {{ arguments['scope'] }};
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arguments['temp_relation'] }};
{%- endmacro %}
