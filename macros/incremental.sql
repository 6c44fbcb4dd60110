{#- Decisions: docs/decisions/full-recompute-on-change.md, docs/decisions/committed-runs.md -#}
{#- Bringing the warehouse up to date: a run looks again at what arrived since the last run that succeeded whole, and at
    what that touches; everything else stays as it was computed. A run is *whole* where it must compute everything: over
    the sample or tables of a schema, with --full-refresh, after a change of the rules, the counting options, the
    project's code or the engine, and where no run has succeeded yet.

    What a run knows of the ones before stands in the schema run_state:
    watermark          one row: what the figures depend on (fingerprint), the newest load that a run which succeeded
                       whole has seen (last_committed_load), and the id of that run
    stored_files       one row per delivered file that is stored
    stored_loads       one row per stored load, with its id, which no other load ever has
    committed_loads    the stored loads that the last run which succeeded whole has seen
    superseded_files   one row per stored file that a later one continues: its rows are repeated there
    quarantined_files  one row per file that was set aside whole, with the reason
    affected_dates     dates of usage that changed since that run
    as_of_dates        the as-of date of that run, and of every one since: what the marts are cut at
    listed_recipe_types, mcp_collections    what that run read from the newest listings
    published_runs     the runs that were published
    format             one row: the version of all this. A database of another one is removed when a run starts -#}

{% macro build_format() -%}
    {{ return(2) }}
{%- endmacro %}


{% macro open_run() -%}
    {%- if execute -%}
        {%- do drop_state_of_another_format() -%}
        {%- do run_statements([
            "create schema if not exists run_state",
            "create table if not exists run_state.format as select " ~ build_format() ~ " as version",
            "create table if not exists run_state.watermark as select cast(null as string) as fingerprint, cast(0 as bigint) as last_committed_load, cast(null as string) as run_id",
            "create table if not exists run_state.stored_files (extract_name string, load_id bigint, path string, file_name string, file_hash " ~ hash_type() ~ ")",
            "create table if not exists run_state.stored_loads (load_id bigint, identity string)",
            "create table if not exists run_state.committed_loads (load_id bigint, identity string)",
            "create table if not exists run_state.superseded_files (extract_name string, load_id bigint, file_name string, file_rows bigint)",
            "create table if not exists run_state.quarantined_files (extract_name string, load_id bigint, file_name string, reason string, is_replaced boolean)",
            "create table if not exists run_state.affected_dates (usage_date date)",
            "create table if not exists run_state.as_of_dates (as_of_date date)",
            "create table if not exists run_state.listed_recipe_types (customer_id string, recipe_id string, recipe_type string, type_override string, type_source string)",
            "create table if not exists run_state.mcp_collections (customer_id string, api_collection_id string)",
        ]) -%}
        {%- if flags.WHICH in ['build', 'run'] -%}
            {%- set watermark = run_query("select fingerprint, last_committed_load from run_state.watermark").rows[0] -%}
            {%- set reads_files = env_var('EXTRACTS_DIR', '') != '' or boolean_option('only_stored_deliveries') -%}
            {%- set present = fingerprint() -%}
            {%- set is_first = not reads_files or watermark[1] == 0 -%}
            {%- set is_changed = watermark[0] != present -%}
            {%- if not is_first and (flags.FULL_REFRESH or is_changed) -%}
                {%- set reason = '--full-refresh' if flags.FULL_REFRESH else "the rules, the counting options, the project's code or the engine changed" -%}
                {%- do log("Everything is recomputed from the stored deliveries: " ~ reason ~ ".", info=True) -%}
            {%- endif -%}
            {#- last_committed_load stays 0 until a whole run has succeeded: one that breaks off is followed by another whole one -#}
            {%- set is_whole = is_first or flags.FULL_REFRESH or is_changed -%}
            {#- asked for hundreds of times: noted once, where dbt keeps its graph of the project -#}
            {%- do graph.update({'present_run': {'is_whole': is_whole, 'last_committed_load': 0 if is_whole else watermark[1], 'fingerprint': present}}) -%}
            {%- if is_whole -%}
                {%- do compute_everything() -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- Without its state everything is computed anew. On DuckDB the file of another format is gone already (plugins/publishing.py). -#}
{% macro drop_state_of_another_format() -%}
    {{ return(adapter.dispatch('drop_state_of_another_format')()) }}
{%- endmacro %}

{% macro duckdb__drop_state_of_another_format() -%}
{%- endmacro %}

{% macro spark__drop_state_of_another_format() -%}
    {%- set tables = columns_of_tables('run_state') -%}
    {%- if tables and ('format' not in tables or run_query("select version from run_state.format").columns[0].values()[0] != build_format()) -%}
        {%- do run_query("drop schema run_state cascade") -%}
    {%- endif -%}
{%- endmacro %}


{#- Lets this run be a whole one. ``reason``: to be said, where it turned out only when the deliveries were looked at. -#}
{% macro compute_everything(reason=none) -%}
    {%- if reason and not is_whole_run() -%}
        {%- do log("Everything is recomputed from the stored deliveries: " ~ reason ~ ".", info=True) -%}
    {%- endif -%}
    {%- do replace_state('watermark', "select " ~ literal(graph['present_run']['fingerprint']) ~ " as fingerprint, cast(0 as bigint) as last_committed_load, cast(null as string) as run_id") -%}
    {%- do empty_state('affected_dates') -%}
    {%- for table in ['as_of_dates', 'stored_files', 'superseded_files', 'quarantined_files'] -%}
        {%- do empty_state(table) -%}
    {%- endfor -%}
    {%- do graph['present_run'].update({'is_whole': true, 'last_committed_load': 0}) -%}
{%- endmacro %}


{#- What the figures depend on beside the deliveries, as one text. -#}
{% macro fingerprint() -%}
    {%- set options = {} -%}
    {%- for name in [
        'reporting_timezone', 'count_test_jobs', 'admin_account_ids', 'unruled_app_is_eligible', 'unknown_app_is_eligible',
        'task_terms', 'rule_overrides', 'rules_as_of', 'job_history_page_count_path', 'job_history_messages_path',
        'job_history_called_recipe_path', 'null_marks', 'listing_tolerance_hours',
        'unconfirmed_after_days',
    ] -%}
        {%- do options.update({name: boolean_option(name) if known_options()[name] == 'boolean' else var(name)}) -%}
    {%- endfor -%}
    {%- set engine = run_query("select version()").columns[0].values()[0] -%}
    {{ return(local_md5(tojson(options, sort_keys=true) ~ engine ~ code_digest())) }}
{%- endmacro %}


{#- Part of publishing: what this run has seen is settled, under its id. -#}
{% macro commit_run() -%}
    {%- set newest_load = run_query("select coalesce(max(load_id), 0) from run_state.stored_files").columns[0].values()[0] -%}
    {%- do replace_state('watermark', "select " ~ literal(graph['present_run']['fingerprint']) ~ " as fingerprint, cast(" ~ newest_load ~ " as bigint) as last_committed_load, " ~ literal(invocation_id) ~ " as run_id") -%}
    {%- do replace_state('committed_loads', "select load_id, identity from run_state.stored_loads") -%}
    {%- do empty_state('affected_dates') -%}
    {%- do replace_state('as_of_dates', "select as_of_date from " ~ working_schema('intake') ~ ".as_of") -%}
    {%- do replace_state('listed_recipe_types', "select customer_id, recipe_id, recipe_type, type_override, type_source from " ~ working_schema('metering') ~ ".recipe_types_listed") -%}
    {%- do replace_state('mcp_collections', "select customer_id, api_collection_id from " ~ working_schema('staging') ~ ".stg_api_collections where is_current and is_mcp_server") -%}
{%- endmacro %}


{#- Whether this run computes everything; so too where nothing is run, as when a model is only compiled. -#}
{% macro is_whole_run() -%}
    {{ return(not execute or graph.get('present_run', {}).get('is_whole', true)) }}
{%- endmacro %}


{#- dbt asks this before it adds to a table: in a whole run no table is added to, whatever the command line says. -#}
{% macro should_full_refresh() -%}
    {%- set configured = config.get('full_refresh') -%}
    {%- if configured is not none -%}
        {{ return(configured) }}
    {%- endif -%}
    {{ return(flags.FULL_REFRESH or is_whole_run()) }}
{%- endmacro %}


{#- Whether a row came after the last run that succeeded whole; every row did in a whole run. -#}
{% macro is_new_load(column='load_id') -%}
    {%- if is_whole_run() -%}
    true
    {%- else -%}
    {{ column }} > {{ graph['present_run']['last_committed_load'] }}
    {%- endif -%}
{%- endmacro %}


{% macro is_load_to_parse() -%}
    {{ return(adapter.dispatch('is_load_to_parse')()) }}
{%- endmacro %}

{#- Whether a base model that reads another one parses a row: all on DuckDB, where base models are views. -#}
{% macro duckdb__is_load_to_parse() -%}
    true
{%- endmacro %}

{#- On Spark base models are tables of all loads, and each load is parsed once. -#}
{% macro spark__is_load_to_parse() -%}
    {{ is_new_load() }}
{%- endmacro %}


{#- Whether this run looks at a job: all in a whole run, else those of changed_jobs. -#}
{% macro is_changed_job(column='job_hash', changed_jobs=none) -%}
    {%- if not execute -%}
        {%- do ref('changed_jobs') -%}
    {%- endif -%}
    {%- if is_whole_run() -%}
    true
    {%- else -%}
    {{ column }} in (select changed_jobs.job_hash from {{ changed_jobs or ref('changed_jobs') }} as changed_jobs)
    {%- endif -%}
{%- endmacro %}


{#- Whether this run looks at a request: all in a whole run, else those of changed_requests. -#}
{% macro is_changed_request(column='request_hash', changed_requests=none) -%}
    {%- if not execute -%}
        {%- do ref('changed_requests') -%}
    {%- endif -%}
    {%- if is_whole_run() -%}
    true
    {%- else -%}
    {{ column }} in (select changed_requests.request_hash from {{ changed_requests or ref('changed_requests') }} as changed_requests)
    {%- endif -%}
{%- endmacro %}


{#- Whether usage of this date may have changed; what has no date yet always may. The dates stand in the query one by
    one, so that the engine skips what it stored of others. Since marts are cut at the as-of date, the dates between two
    as-of dates have changed, too, in a model that reads as_of. -#}
{% macro in_affected_dates(column='usage_date') -%}
    {%- if is_whole_run() -%}
    true
    {%- else -%}
    {{ is_empty_or_one_of(column, '%s') }}
    {%- endif -%}
{%- endmacro %}


{#- The same for the month of a date. -#}
{% macro in_affected_months(column='usage_month') -%}
    {%- if is_whole_run() -%}
    true
    {%- else -%}
    {{ is_empty_or_one_of(column, "cast(date_trunc('month', %s) as date)") }}
    {%- endif -%}
{%- endmacro %}


{#- Whether a column is null, or its ``part`` that of a touched date: the date itself (%s), or its month. -#}
{% macro is_empty_or_one_of(column, part) -%}
    {%- set date = part | format(column) -%}
    {%- set dates = run_query("select distinct " ~ part | format('usage_date') ~ " as touched from run_state.affected_dates order by touched").columns[0].values() -%}
    {%- set as_of = run_query("select min(as_of_date), max(as_of_date) from run_state.as_of_dates").rows[0] -%}
    ({{ date }} is null
    {%- if dates %} or {{ date }} in ({% for value in dates %}date '{{ value }}'{{ ', ' if not loop.last }}{% endfor %}){% endif %}
    {%- if as_of[0] != as_of[1] %} or {{ date }} between {{ part | format("date '" ~ as_of[0] ~ "'") }} and {{ part | format("date '" ~ as_of[1] ~ "'") }}{% endif %})
{%- endmacro %}


{#- The month that the var recompute_month asks for, as its first day; null where none is asked for. -#}
{% macro recompute_month() -%}
    cast({{ literal(var('recompute_month') ~ '-01') if var('recompute_month') else 'null' }} as date)
{%- endmacro %}


{#- Lets the rows of a table of run_state be those of the query, which must not read it. -#}
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


{#- The incremental strategies: the rows that a run computes take the place of those that stood for the same. Which ones
    those are, as a condition on the table; none where rows are only added. -#}
{% macro is_replaced(strategy) -%}
    {%- set changed_jobs = working_schema('intake') ~ '.changed_jobs' -%}
    {%- set changed_requests = working_schema('intake') ~ '.changed_requests' -%}
    {%- if strategy == 'by_load' -%}
        {{ return(is_new_load()) }}
    {%- elif strategy == 'by_changed_job' -%}
        {#- with meta.is_dated_by_its_job, only where those dates are: metered_jobs has noted them -#}
        {{ return(is_changed_job('job_hash', changed_jobs) ~ (' and ' ~ in_affected_dates() if config.get('meta', {}).get('is_dated_by_its_job') else '')) }}
    {%- elif strategy == 'by_changed_request' -%}
        {{ return(is_changed_request('request_hash', changed_requests)) }}
    {%- elif strategy == 'by_touched_date' -%}
        {%- set too = config.get('meta', {}).get('replaces_too') -%}
        {{ return(in_affected_dates() ~ (' or ' ~ too if too else '')) }}
    {%- elif strategy == 'by_touched_month' -%}
        {{ return(in_affected_months()) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}


{#- On DuckDB within one transaction. -#}
{% macro replace_rows(arguments, strategy) -%}
    {%- set columns = get_quoted_csv(arguments['dest_columns'] | map(attribute='name')) -%}
    {{ note_affected_dates(arguments['target_relation'], arguments['temp_relation'], is_replaced(strategy)) }}
    delete from {{ arguments['target_relation'] }} where {{ is_replaced(strategy) }};
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arguments['temp_relation'] }};
{%- endmacro %}

{% macro get_incremental_by_load_sql(arguments) -%}
    {{ return(replace_rows(arguments, 'by_load')) }}
{%- endmacro %}

{% macro get_incremental_by_changed_job_sql(arguments) -%}
    {{ return(replace_rows(arguments, 'by_changed_job')) }}
{%- endmacro %}

{% macro get_incremental_by_changed_request_sql(arguments) -%}
    {{ return(replace_rows(arguments, 'by_changed_request')) }}
{%- endmacro %}

{% macro get_incremental_by_touched_date_sql(arguments) -%}
    {{ return(replace_rows(arguments, 'by_touched_date')) }}
{%- endmacro %}

{% macro get_incremental_by_touched_month_sql(arguments) -%}
    {{ return(replace_rows(arguments, 'by_touched_month')) }}
{%- endmacro %}

{#- Of what is only ever added to: the rows that do not stand there yet. By whole rows, so that two which share a hash
    both come to stand there, and the test of the hash sees them. -#}
{% macro get_incremental_new_rows_sql(arguments) -%}
    {%- set columns = get_quoted_csv(arguments['dest_columns'] | map(attribute='name')) -%}
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arguments['temp_relation'] }}
    except
    select {{ columns }} from {{ arguments['target_relation'] }};
{%- endmacro %}


{#- Notes the dates on which rows stood and will stand, where the rows are units of usage. -#}
{% macro note_affected_dates(stood, will_stand, is_replaced) -%}
    {%- if config.get('meta', {}).get('dates_usage') %}
    insert into run_state.affected_dates
    select usage_date from {{ stood }} where usage_date is not null and {{ is_replaced }}
    union
    select usage_date from {{ will_stand }} where usage_date is not null;
    {%- endif %}
{%- endmacro %}
