{#- State for later runs, in the schema run_state. models/_sources/_run_state.yml describes the tables. -#}

{% macro build_format() -%}
    {{ return(8) }}
{%- endmacro %}


{% macro create_run_state() -%}
    {%- set fingerprints = "facts_fingerprint string, jobs_fingerprint string, decisions_fingerprint string" -%}
    {%- set figure = "usage_month date, customer_id string, metric string, call_type string" -%}
    {%- set restatement = figure ~ ", retracted_quantity decimal(38, 9), restated_quantity decimal(38, 9), cause string"
        ~ ", run_id string, restated_at timestamp" -%}
    {%- set tables = {
        'watermark': fingerprints ~ ", last_committed_load bigint, as_of_date date, run_id string",
        'this_run': "run_id string, recomputes string, last_committed_load bigint, " ~ fingerprints
            ~ ", has_news boolean, is_committed boolean, files_read string",
        'stored_files': "extract_name string, load_id bigint, path string, file_name string",
        'stored_loads': "load_id bigint, identity string",
        'compacted_loads': "load_id bigint, compacted_at string",
        'committed_loads': "load_id bigint, identity string",
        'superseded_files': "extract_name string, load_id bigint, file_name string, file_rows bigint",
        'quarantined_files':
            "extract_name string, load_id bigint, file_name string, reason string, is_replaced boolean",
        'listed_recipes': "customer_id string, recipe_id string, recipe_type string, trigger_adapter string, "
            ~ "trigger_operation string",
        'mcp_collections': "customer_id string, api_collection_id string",
        'known_vendor_reports': "customer_id string, usage_month date, extracted_at timestamp",
        'known_terms': "extract_name string, customer_id string, effective_from date, effective_to date, "
            ~ "content string",
        'committed_inputs': "inputs string",
        'closing': "state string",
        'closed_months': "usage_month date",
        'closed_figures': figure ~ ", quantity decimal(38, 9), closed_at timestamp, manifest_digest string",
        'erased_customers': "customer_id string",
        'restatements': restatement,
        'replayed_restatements': restatement,
        'restating': "last_cause string, lost_a_load boolean, new_loads string, is_compared boolean",
    } -%}
    {%- set statements = [
        "create schema if not exists run_state",
        "create table if not exists run_state.format as select " ~ build_format() ~ " as version",
    ] -%}
    {%- for name, columns in tables.items() -%}
        {%- do statements.append("create table if not exists run_state." ~ name ~ " (" ~ columns ~ ")") -%}
    {%- endfor -%}
    {%- do run_statements(statements) -%}
{%- endmacro %}


{#- Without this state the run recomputes everything. On DuckDB, plugins/publishing.py has already removed a file of
    another format. -#}
{% macro drop_state_of_another_format() -%}
    {{ return(adapter.dispatch('drop_state_of_another_format')()) }}
{%- endmacro %}

{% macro duckdb__drop_state_of_another_format() -%}
{%- endmacro %}

{% macro spark__drop_state_of_another_format() -%}
    {%- set tables = columns_of_tables('run_state') -%}
    {%- if tables -%}
        {%- set is_known = 'format' in tables
            and run_query("select version from run_state.format").columns[0].values()[0] == build_format() -%}
        {%- if not is_known -%}
            {%- do run_query("drop schema run_state cascade") -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro watermark() -%}
    {%- set rows = run_query("select * from run_state.watermark").rows -%}
    {{ return(dict(rows[0].items()) if rows else {'last_committed_load': 0}) }}
{%- endmacro %}

{% macro set_watermark(state) -%}
    {%- do replace_state('watermark', "select " ~ [
        "cast(" ~ nullable(state.facts_fingerprint) ~ " as string) as facts_fingerprint",
        "cast(" ~ nullable(state.jobs_fingerprint) ~ " as string) as jobs_fingerprint",
        "cast(" ~ nullable(state.decisions_fingerprint) ~ " as string) as decisions_fingerprint",
        "cast(" ~ state.last_committed_load ~ " as bigint) as last_committed_load",
        "cast(" ~ nullable(state.as_of_date) ~ " as date) as as_of_date",
        "cast(" ~ nullable(state.run_id) ~ " as string) as run_id",
    ] | join(', ')) -%}
{%- endmacro %}


{% macro this_run() -%}
    {%- set rows = run_query("select * from run_state.this_run").rows -%}
    {{ return(dict(rows[0].items()) if rows else {}) }}
{%- endmacro %}

{% macro note_this_run(run) -%}
    {%- do replace_state('this_run', "select " ~ [
        literal(invocation_id) ~ " as run_id",
        literal(run.recomputes) ~ " as recomputes",
        "cast(" ~ run.last_committed_load ~ " as bigint) as last_committed_load",
        literal(run.facts_fingerprint) ~ " as facts_fingerprint",
        literal(run.jobs_fingerprint) ~ " as jobs_fingerprint",
        literal(run.decisions_fingerprint) ~ " as decisions_fingerprint",
        ('true' if run.has_news else 'false') ~ " as has_news",
        ('true' if run.is_committed else 'false') ~ " as is_committed",
        "cast(" ~ nullable(run.files_read) ~ " as string) as files_read",
    ] | join(', ')) -%}
{%- endmacro %}


{% macro nullable(value) -%}
    {{ return('null' if value is none or value is undefined else literal(value)) }}
{%- endmacro %}


{% macro replace_state(table, query) -%}
    {{ return(adapter.dispatch('replace_state')(table, query)) }}
{%- endmacro %}

{% macro duckdb__replace_state(table, query) -%}
    {%- do run_query("create or replace table run_state." ~ table ~ " as " ~ query) -%}
{%- endmacro %}

{% macro spark__replace_state(table, query) -%}
    {%- do run_query("insert overwrite run_state." ~ table ~ " " ~ query) -%}
{%- endmacro %}

{% macro empty_state(table) -%}
    {%- do run_query("truncate table run_state." ~ table) -%}
{%- endmacro %}
