{#- Publishing: the build works on its own database; what people open is replaced in one step, or not at all. -#}

{#- A relative WAREHOUSE_DIR is below the folder in which dbt is started; without one the warehouse is in the project's. -#}
{% macro warehouse_path(name) -%}
    {{ return((env_var('WAREHOUSE_DIR', '') or project_path('warehouse')) ~ '/' ~ name) }}
{%- endmacro %}


{% macro published_path() -%}
    {{ return(warehouse_path('usage.duckdb')) }}
{%- endmacro %}


{#- Run hook, last. Publishes when the run was a plain, complete build and every node succeeded, and says where it is. -#}
{% macro publish(results) -%}
    {%- if execute and flags.WHICH == 'build' -%}
        {%- set failed = results | rejectattr('status', 'in', ['success', 'pass', 'warn', 'no-op']) | list -%}
        {%- set not_plain = flags_that_forbid_publishing() or nodes_left_out(results) -%}
        {%- if failed or not_plain -%}
            {%- set reason = failed | length ~ " nodes failed or were skipped" if failed else "not a plain build of the whole project (" ~ not_plain | join(', ') ~ ")" -%}
            {%- do log("Not published: " ~ reason ~ ". " ~ (published_path() if target.type == 'duckdb' else 'What readers see') ~ " is as it was.", info=True) -%}
        {%- else -%}
            {%- if not ran_data_tests() -%}
                {%- do exceptions.warn("The data tests were left out: nobody has looked whether the figures hold together. publication.runs says so, too.") -%}
            {%- endif -%}
            {%- do publish_run() -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- The flags of this run that make it other than a plain build, as a person writes them. A list of what is allowed, not of
    what is forbidden: a flag that a later dbt brings publishes nothing until somebody has judged it. Leaving out tests is
    allowed, leaving out other nodes is not. -#}
{% macro flags_that_forbid_publishing() -%}
    {%- set allowed = [
        'which', 'invocation_command', 'vars', 'target', 'profile', 'threads', 'full_refresh', 'profiles_dir', 'project_dir', 'target_path',
        'debug', 'quiet', 'print', 'printer_width', 'log_format', 'log_format_file', 'log_level', 'log_level_file', 'log_path',
        'log_cache_events', 'log_file_max_bytes', 'use_colors', 'use_colors_file', 'show', 'show_all_deprecations',
        'show_resource_report', 'macro_debugging', 'record_timing_info', 'send_anonymous_usage_stats',
        'write_json', 'upload_to_artifacts_ingest_api', 'warn_error', 'warn_error_options', 'version_check', 'strict_mode',
        'partial_parse', 'partial_parse_file_path', 'partial_parse_file_diff', 'static_parser', 'use_experimental_parser',
        'populate_cache', 'cache_selected_only', 'introspect', 'sqlparse', 'use_fast_test_edges', 'fail_fast', 'store_failures',
        'indirect_selection', 'validate_macro_args', 'source_freshness_run_project_hooks', 'skip_nodes_if_on_run_start_fails',
    ] -%}
    {%- set found = [] -%}
    {%- for name, value in invocation_args_dict.items() if value and name not in allowed and not name.startswith(('require_', 'state_modified_')) -%}
        {%- if name != 'exclude_resource_types' or value | reject('in', ['test', 'unit_test']) | list -%}
            {%- do found.append('--' ~ name | replace('_', '-')) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- What of the project's models and seeds this run left out, in a few words; an empty list where all of them ran. No flag says
    so of dbt retry, which runs what an earlier run left, while new files may have come. -#}
{% macro nodes_left_out(results) -%}
    {%- set ran = results | map(attribute='node') | map(attribute='unique_id') | list -%}
    {%- set missing = graph.nodes.values() | selectattr('resource_type', 'in', ['model', 'seed']) | rejectattr('unique_id', 'in', ran) | map(attribute='name') | list -%}
    {{ return([missing | length ~ " models and seeds did not run, such as " ~ missing | sort | first] if missing else []) }}
{%- endmacro %}


{#- Whether the data tests are part of this run. -#}
{% macro ran_data_tests() -%}
    {{ return('test' not in (invocation_args_dict.get('exclude_resource_types') or []) | map('string') | list) }}
{%- endmacro %}


{% macro publish_run() -%}
    {{ return(adapter.dispatch('publish_run')()) }}
{%- endmacro %}

{% macro duckdb__publish_run() -%}
    {%- do run_statements(drop_views_over_files() + [
        "update publication.runs set published_at = " ~ utc_now() ~ " where run_id = " ~ literal(invocation_id)
    ]) -%}
    {%- do write_comments() -%}
    {%- do commit_run() -%}
    {%- do run_statements(export_marts() + ["checkpoint"]) -%}
    {%- set answer = fromjson(run_query("select publish_warehouse(" ~ literal(target.path) ~ ", " ~ literal(published_path()) ~ ", " ~ literal(invocation_id) ~ ")").columns[0].values()[0]) -%}
    {%- if answer.problem -%}
        {{ exceptions.raise_compiler_error(answer.problem) }}
    {%- endif -%}
    {%- for text in answer.to_look_at -%}
        {%- do exceptions.warn(text) -%}
    {%- endfor -%}
    {%- do summarize() -%}
    {%- do dashboard() -%}
{%- endmacro %}


{#- The dashboard of what was just published, where the var asks for it. What goes wrong with it takes nothing back, and
    ends the run with an error. -#}
{% macro dashboard() -%}
    {%- if boolean_option('dashboard') -%}
        {%- set problem = run_query("select write_dashboard(" ~ literal(published_path()) ~ ")").columns[0].values()[0] -%}
        {%- if problem -%}
            {{ exceptions.raise_compiler_error(published_path() ~ " is published, but its dashboard is not written: " ~ problem) }}
        {%- endif -%}
        {%- do log("Dashboard " ~ warehouse_path('dashboard/index.html'), info=True) -%}
    {%- endif -%}
{%- endmacro %}


{#- The statements that drop the views over files of this machine, and those that read them: they mean nothing to readers, and
    the next run makes them anew. -#}
{% macro drop_views_over_files() -%}
    {%- set statements = [] -%}
    {%- if not is_sample() -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.schema in ['base', 'staging', 'facts'] and node.config.materialized == 'view' -%}
            {%- do statements.append("drop view if exists " ~ node.schema ~ "." ~ node.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(statements + ["drop schema if exists extracts cascade"]) }}
{%- endmacro %}


{#- The statements that write each mart, and the table of runs, as a Parquet file beside the build's database; and the list of
    runs that is kept with the deliveries, this one last. -#}
{% macro export_marts() -%}
    {%- set folder = target.path.rsplit('/', 1)[0] -%}
    {%- set listed = "select * from publication.runs order by run_id = " ~ literal(invocation_id) ~ ", published_at, started_at" -%}
    {%- set statements = ["copy (" ~ listed ~ ") to " ~ literal(folder ~ '/runs.json') ~ " (format json)"] -%}
    {%- set folder = folder ~ '/parquet' -%}
    {%- do statements.append("select empty_folder(" ~ literal(folder) ~ ")") -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.schema in ['marts', 'publication'] -%}
        {%- do statements.append("copy " ~ node.schema ~ "." ~ node.name ~ " to " ~ literal(folder ~ '/' ~ node.name ~ '.parquet') ~ " (format parquet, compression zstd)") -%}
    {%- endfor -%}
    {{ return(statements) }}
{%- endmacro %}


{% macro utc_now() -%}
    {{ return("cast(" ~ literal(modules.datetime.datetime.now(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S')) ~ " as timestamp)") }}
{%- endmacro %}


{#- Where the run reads from, for a person. -#}
{% macro extracts_from() -%}
    {%- if env_var('EXTRACTS_DIR', '') -%}
    {{ return(env_var('EXTRACTS_DIR')) }}
    {%- elif var('extracts_schema', none) is not none -%}
    {{ return('schema ' ~ var('extracts_schema')) }}
    {%- endif -%}
    {{ return('the sample') }}
{%- endmacro %}


{#- What the run read, the totals of the current month beside the last full one, and what a person should look at. -#}
{% macro summarize() -%}
    {%- do log("", info=True) -%}
    {%- do log("Published " ~ published_path(), info=True) -%}
    {%- for line in what_was_read() + totals_of_months() + what_to_look_at() -%}
        {%- do log(line, info=True) -%}
    {%- endfor -%}
{%- endmacro %}


{% macro what_was_read() -%}
    {%- if not graph['present_run'].found -%}
        {{ return(["Read " ~ extracts_from() ~ "."]) }}
    {%- endif -%}
    {%- set found = graph['present_run'].found -%}
    {%- if not found.folder -%}
        {{ return(["Read the stored deliveries alone: only_stored_deliveries is set."]) }}
    {%- endif -%}
    {%- set lines = [] -%}
    {%- if found.by_extract -%}
        {%- do lines.append("Read from " ~ found.folder ~ ": " ~ found.by_extract ~ ".") -%}
    {%- else -%}
        {%- do lines.append("Read nothing new from " ~ found.folder ~ ": every file of it is stored already.") -%}
    {%- endif -%}
    {%- if found.ignored -%}
        {%- do lines.append("Ignored " ~ found.ignored | length ~ (" path" if found.ignored | length == 1 else " paths") ~ ", the first " ~ found.ignored[0] ~ ".") -%}
    {%- endif -%}
    {{ return(lines) }}
{%- endmacro %}


{#- A line each for what is measured: in the month before the current one where some customer has it, and in the current. -#}
{% macro totals_of_months() -%}
    {%- set labels = run_query("select metric, units from labels.metric_labels where is_total order by position").rows -%}
    {%- set sums = [] -%}
    {%- for metric, units in labels -%}
        {%- do sums.append("sum(used." ~ metric ~ ")") -%}
    {%- endfor -%}
    {%- set months = run_query(
        "select used.usage_month, max(as_of.as_of_date), bool_or(used.is_current_month), bool_and(used.is_covered), count(*), " ~ sums | join(', ')
        ~ " from marts.monthly_customer_usage as used cross join " ~ working_schema('intake') ~ ".as_of as as_of"
        ~ " where used.usage_month >= as_of.as_of_month - interval '1' month group by used.usage_month order by used.usage_month"
    ).rows -%}
    {%- set said = [] -%}
    {%- for month in months -%}
        {%- set words = month[0].strftime('%B %Y') -%}
        {%- do said.append(words if not month[2] else "up to " ~ month[1].day ~ " " ~ words) -%}
    {%- endfor -%}
    {%- set lines = ["Usage of " ~ months[-1][4] ~ " customers in " ~ said | join(', and ') ~ ":"] if months else [] -%}
    {%- for metric, units in labels if months -%}
        {%- set cells, position = [], loop.index + 4 -%}
        {%- for month in months -%}
            {%- set is_unknown = not month[3] and not month[position] and not metric.endswith('seats') -%}
            {%- do cells.append("{:>12}".format("not covered") if is_unknown else "{:>12,}".format(month[position] | int)) -%}
        {%- endfor -%}
        {%- do lines.append("  " ~ cells | join('  ') ~ "  " ~ units) -%}
    {%- endfor -%}
    {{ return(lines) }}
{%- endmacro %}


{#- How many rows are quarantined, most often why, and how many more than after the run before; how many findings there are. -#}
{% macro what_to_look_at() -%}
    {%- set reasons = run_query("select extract_name, reason, count(*) as many from audit.quarantined_rows group by extract_name, reason order by many desc, extract_name, reason").rows -%}
    {%- set findings = run_query("select count(*) from audit.findings").rows[0][0] -%}
    {%- set before = run_query("select rows_quarantined from publication.runs where published_at is not null and run_id <> " ~ literal(invocation_id) ~ " order by published_at desc, started_at desc limit 1").rows -%}
    {%- set total, most = reasons | sum(attribute=2, start=0) | int, [] -%}
    {%- for extract, reason, many in reasons[:3] -%}
        {%- do most.append("{:,}".format(many | int) ~ " of " ~ extract ~ " (" ~ reason ~ ")") -%}
    {%- endfor -%}
    {%- if reasons | length > 3 -%}
        {%- do most.append("{:,}".format(reasons[3:] | sum(attribute=2, start=0) | int) ~ " for other reasons") -%}
    {%- endif -%}
    {%- set more = total - before[0][0] | int if before else 0 -%}
    {%- set since = ", {:,} {} than after the last run".format(more | abs, 'more' if more > 0 else 'fewer') if more else "" -%}
    {{ return([
        "{:,} rows in audit.quarantined_rows".format(total) ~ since ~ (": " if most else "") ~ most | join(', '),
        "{:,} rows in audit.findings".format(findings),
    ]) }}
{%- endmacro %}


{#- Brings a schema that others keep in the published database into the build's own: the extracts of the var
    extracts_schema. Being copied with every build, it is still there after the published file was replaced. -#}
{% macro bring_schema(schema) -%}
    {{ return(adapter.dispatch('bring_schema')(schema)) }}
{%- endmacro %}

{% macro duckdb__bring_schema(schema) -%}
    {%- if is_file(published_path()) -%}
        {%- do run_query("attach " ~ literal(published_path()) ~ " as published (read_only)") -%}
        {%- set tables = run_query("select table_name from duckdb_tables() where database_name = 'published' and schema_name = " ~ literal(schema)) -%}
        {%- if tables.rows -%}
            {%- do run_query("drop schema if exists " ~ adapter.quote(schema) ~ " cascade") -%}
            {%- do run_query("create schema " ~ adapter.quote(schema)) -%}
        {%- endif -%}
        {%- for row in tables.rows -%}
            {%- set table = adapter.quote(schema) ~ "." ~ adapter.quote(row[0]) -%}
            {%- do run_query("create table " ~ table ~ " as select * from published." ~ table) -%}
        {%- endfor -%}
        {%- do run_query("detach published") -%}
    {%- endif -%}
{%- endmacro %}


{#- Run hook. Brings the list of the runs that were published, to which the model runs adds this one. -#}
{% macro read_published_runs() -%}
    {{ return(adapter.dispatch('read_published_runs')()) }}
{%- endmacro %}

{#- It is kept with the deliveries (plugins/publishing.py); an older release's has not all columns. -#}
{% macro duckdb__read_published_runs() -%}
    {%- if execute -%}
        {%- set told, types = deliveries_path() ~ '/runs.json', [] -%}
        {%- for name, type in columns_of_runs().items() -%}
            {%- do types.append(name ~ ": '" ~ type ~ "'") -%}
        {%- endfor -%}
        {%- do replace_state(
            'published_runs',
            "from read_json(" ~ literal(exact_pattern(told)) ~ ", format = 'newline_delimited', columns = {" ~ types | join(', ') ~ "})" if is_file(told) else no_runs()
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#- The columns of the list of runs with their types. -#}
{% macro columns_of_runs() -%}
    {%- set columns = {} -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.schema == working_schema('publication') and node.name == 'runs' -%}
        {%- for column in node.columns.values() -%}
            {%- do columns.update({column.name: column.data_type}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}


{#- A query of an empty list of runs. -#}
{% macro no_runs() -%}
    {%- set columns = [] -%}
    {%- for name, type in columns_of_runs().items() -%}
        {%- do columns.append("cast(null as " ~ type ~ ") as " ~ name) -%}
    {%- endfor -%}
    {{ return("select " ~ columns | join(', ') ~ " where false") }}
{%- endmacro %}


{% macro is_file(path) -%}
    {{ return(run_query("select count(*) from glob(" ~ literal(exact_pattern(path)) ~ ")").columns[0].values()[0] > 0) }}
{%- endmacro %}


{#- A path as a pattern that matches only itself. -#}
{% macro exact_pattern(path) -%}
    {{ return(path | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]')) }}
{%- endmacro %}


{#- On Spark schemas are seen as they are: there is nothing to bring. -#}
{% macro spark__bring_schema(schema) -%}
{%- endmacro %}


{#- On Spark publishing is by schema. The tables of the schemas in which a run works are copied to one schema that is named
    after the run; then the views that readers know, marts.monthly_tasks and so on, are pointed to the copies, one after the
    other, and what was published before the last time is dropped. -#}
{% macro spark__publish_run() -%}
    {%- set runs = working_schema('publication') ~ '.runs' -%}
    {%- set columns = [] -%}
    {%- for column in adapter.get_columns_in_relation(api.Relation.create(schema=working_schema('publication'), identifier='runs')) -%}
        {%- do columns.append("coalesce(published_at, " ~ utc_now() ~ ") as published_at" if column.name == 'published_at' else column.name) -%}
    {%- endfor -%}
    {%- set published = 'published_' ~ run_started_at.strftime('%Y%m%d_%H%M%S') -%}
    {%- do run_query("create schema if not exists " ~ published) -%}
    {%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed'] and node.schema in published_schemas() -%}
        {%- set query = "select " ~ (columns | join(', ') if node.name == 'runs' else '*') ~ " from " ~ node.schema ~ "." ~ node.name -%}
        {%- do run_query("create table " ~ published ~ "." ~ node.schema ~ "__" ~ node.name ~ " as " ~ query) -%}
    {%- endfor -%}
    {%- do run_query("insert overwrite " ~ runs ~ " select * from " ~ published ~ "." ~ working_schema('publication') ~ "__runs") -%}
    {%- do commit_run() -%}
    {%- for schema in published_schemas() -%}
        {%- do run_query("create schema if not exists " ~ schema | replace(working_schema(''), '')) -%}
    {%- endfor -%}
    {%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed'] and node.schema in published_schemas() -%}
        {%- do run_query("create or replace view " ~ node.schema | replace(working_schema(''), '') ~ "." ~ node.name ~ " as select * from " ~ published ~ "." ~ node.schema ~ "__" ~ node.name) -%}
    {%- endfor -%}
    {%- set schemas = run_query("show schemas like 'published_*'").columns[0].values() | sort -%}
    {%- for schema in schemas[:-2] -%}
        {%- do run_query("drop schema " ~ schema ~ " cascade") -%}
    {%- endfor -%}
    {%- do log("Published " ~ published, info=True) -%}
{%- endmacro %}

{#- The schemas whose tables people read. -#}
{% macro published_schemas() -%}
    {%- set schemas = [] -%}
    {%- for name in ['marts', 'metering', 'audit', 'rules', 'labels', 'publication'] -%}
        {%- do schemas.append(working_schema(name)) -%}
    {%- endfor -%}
    {{ return(schemas) }}
{%- endmacro %}

{#- A run that failed was never published: its row has no published_at. Where there is no table, a run was killed while it
    replaced it, or there was none: what the run before brought still stands. -#}
{% macro spark__read_published_runs() -%}
    {%- set runs = load_relation(api.Relation.create(schema=working_schema('publication'), identifier='runs')) if execute else none -%}
    {%- if runs -%}
        {%- set there = adapter.get_columns_in_relation(runs) | map(attribute='name') | list -%}
        {%- set columns = [] -%}
        {%- for name, type in columns_of_runs().items() -%}
            {%- do columns.append((name if name in there else "cast(null as " ~ type ~ ")") ~ " as " ~ name) -%}
        {%- endfor -%}
        {%- do run_query("drop table if exists run_state.published_runs") -%}
        {%- do run_query("create table run_state.published_runs as select " ~ columns | join(', ') ~ " from " ~ runs ~ " where published_at is not null") -%}
    {%- elif execute -%}
        {%- do run_query("create table if not exists run_state.published_runs as " ~ no_runs()) -%}
    {%- endif -%}
{%- endmacro %}
