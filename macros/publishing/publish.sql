{% macro publish(results) -%}
    {%- if execute and flags.WHICH == 'build' -%}
        {%- set failed = results | rejectattr('status', 'in', ['success', 'pass', 'warn', 'no-op']) | list -%}
        {%- set not_plain = flags_that_forbid_publishing() or nodes_left_out(results) -%}
        {%- if failed or not_plain -%}
            {%- set reason = failed | length ~ " nodes failed or were skipped" if failed
                else "not a plain build of the whole project (" ~ not_plain | join(', ') ~ ")" -%}
            {%- do log(
                "Not published: " ~ reason ~ ". "
                ~ (published_path() if target.type == 'duckdb' else 'What readers see') ~ " is unchanged.",
                info=True
            ) -%}
        {%- else -%}
            {%- if not ran_data_tests() -%}
                {%- do exceptions.warn(
                    "The data tests were left out, so the figures of this run are not checked. "
                    ~ "publication.runs shows this, too."
                ) -%}
            {%- endif -%}
            {%- do publish_run() -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- Lists the allowed flags, not the forbidden ones: with a new flag of a later dbt, a run does not publish until the
    flag is added here. -#}
{% macro flags_that_forbid_publishing() -%}
    {%- set allowed = [
        'which', 'invocation_command', 'vars', 'target', 'profile', 'threads', 'full_refresh', 'profiles_dir',
        'project_dir', 'target_path', 'debug', 'quiet', 'print', 'printer_width', 'log_format', 'log_format_file',
        'log_level', 'log_level_file', 'log_path', 'log_cache_events', 'log_file_max_bytes', 'use_colors',
        'use_colors_file', 'show', 'show_all_deprecations', 'show_resource_report', 'macro_debugging',
        'record_timing_info', 'send_anonymous_usage_stats',
        'write_json', 'upload_to_artifacts_ingest_api', 'warn_error', 'warn_error_options', 'version_check',
        'strict_mode', 'partial_parse', 'partial_parse_file_path', 'partial_parse_file_diff', 'static_parser',
        'use_experimental_parser', 'populate_cache', 'cache_selected_only', 'introspect', 'sqlparse',
        'use_fast_test_edges', 'fail_fast', 'store_failures', 'indirect_selection', 'validate_macro_args',
        'source_freshness_run_project_hooks', 'skip_nodes_if_on_run_start_fails',
    ] -%}
    {%- set found = [] -%}
    {%- for name, value in invocation_args_dict.items() if value and name not in allowed
        and not name.startswith(('require_', 'state_modified_')) -%}
        {%- if name != 'exclude_resource_types' or value | reject('in', ['test', 'unit_test']) | list -%}
            {%- do found.append('--' ~ name | replace('_', '-')) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{% macro nodes_left_out(results) -%}
    {%- set ran = results | map(attribute='node') | map(attribute='unique_id') | list -%}
    {%- set missing = graph.nodes.values() | selectattr('resource_type', 'in', ['model', 'seed'])
        | rejectattr('unique_id', 'in', ran) | map(attribute='name') | list -%}
    {{ return(
        [missing | length ~ " models and seeds did not run, such as " ~ missing | sort | first] if missing else []
    ) }}
{%- endmacro %}


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
    {%- set inputs = inputs_of_run() -%}
    {%- do replace_state('committed_inputs', "select " ~ literal(tojson(inputs)) ~ " as inputs") -%}
    {%- if compares_closes() -%}
        {%- do inputs.update({'restated': export_restatements(), 'project': project_path()}) -%}
    {%- else -%}
        {%- set inputs = {} -%}
    {%- endif -%}
    {%- do run_statements(export_marts() + ["checkpoint"]) -%}
    {%- set answer = fromjson(
        run_query(
            "select publish_warehouse(" ~ literal(target.path) ~ ", " ~ literal(published_path()) ~ ", "
            ~ literal(invocation_id) ~ ", " ~ literal(tojson(inputs) if inputs else '') ~ ")"
        ).columns[0].values()[0]
    ) -%}
    {%- if answer.problem -%}
        {{ exceptions.raise_compiler_error(answer.problem) }}
    {%- endif -%}
    {%- for text in answer.to_look_at -%}
        {%- do exceptions.warn(text) -%}
    {%- endfor -%}
    {%- do summarize() -%}
    {%- do dashboard() -%}
{%- endmacro %}

{#- Publishing is by schema. The tables of the working schemas are copied to a schema named after the run. Then the
    views that readers use, such as marts.monthly_tasks, are pointed to the copies one by one, and older copies are
    dropped, except those of the run before. -#}
{% macro spark__publish_run() -%}
    {%- set runs = working_schema('publication') ~ '.runs' -%}
    {%- set columns = [] -%}
    {%- for column in adapter.get_columns_in_relation(
        api.Relation.create(schema=working_schema('publication'), identifier='runs')
    ) -%}
        {%- do columns.append(
            "coalesce(published_at, " ~ utc_now() ~ ") as published_at" if column.name == 'published_at'
            else column.name
        ) -%}
    {%- endfor -%}
    {%- set published = 'published_' ~ run_started_at.strftime('%Y%m%d_%H%M%S') -%}
    {%- do run_query("create schema if not exists " ~ published) -%}
    {%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed']
        and node.schema in published_schemas() -%}
        {%- set query = "select " ~ (columns | join(', ') if node.name == 'runs' else '*') ~ " from " ~ node.schema
            ~ "." ~ node.name -%}
        {%- do run_query("create table " ~ published ~ "." ~ node.schema ~ "__" ~ node.name ~ " as " ~ query) -%}
    {%- endfor -%}
    {%- do run_query(
        "insert overwrite " ~ runs ~ " select * from " ~ published ~ "." ~ working_schema('publication') ~ "__runs"
    ) -%}
    {%- do commit_run() -%}
    {%- for schema in published_schemas() -%}
        {%- do run_query("create schema if not exists " ~ schema | replace(working_schema(''), '')) -%}
    {%- endfor -%}
    {%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed']
        and node.schema in published_schemas() -%}
        {%- do run_query(
            "create or replace view " ~ node.schema | replace(working_schema(''), '') ~ "." ~ node.name
            ~ " as select * from " ~ published ~ "." ~ node.schema ~ "__" ~ node.name
        ) -%}
    {%- endfor -%}
    {%- set schemas = run_query("show schemas like 'published_*'").columns[0].values() | sort -%}
    {%- for schema in schemas[:-2] -%}
        {%- do run_query("drop schema " ~ schema ~ " cascade") -%}
    {%- endfor -%}
    {%- do log("Published " ~ published, info=True) -%}
{%- endmacro %}


{% macro dashboard() -%}
    {%- if boolean_option('dashboard') -%}
        {%- set problem = run_query(
            "select write_dashboard(" ~ literal(published_path()) ~ ")"
        ).columns[0].values()[0] -%}
        {%- if problem -%}
            {{ exceptions.raise_compiler_error(
                published_path() ~ " is published, but its dashboard is not written: " ~ problem
            ) }}
        {%- endif -%}
        {%- do log("Dashboard " ~ warehouse_path('dashboard/index.html'), info=True) -%}
    {%- endif -%}
{%- endmacro %}


{% macro drop_views_over_files() -%}
    {%- set statements = [] -%}
    {%- if not is_sample() -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model'
            and node.schema in ['base', 'staging'] and node.config.materialized == 'view' -%}
            {%- do statements.append("drop view if exists " ~ node.schema ~ "." ~ node.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(statements + ["drop schema if exists extracts cascade"]) }}
{%- endmacro %}


{% macro export_marts() -%}
    {%- set folder = target.path.rsplit('/', 1)[0] -%}
    {%- set listed = "select * from publication.runs order by run_id = " ~ literal(invocation_id)
        ~ ", published_at, started_at" -%}
    {%- set statements = ["copy (" ~ listed ~ ") to " ~ literal(folder ~ '/runs.json') ~ " (format json)"] -%}
    {%- set folder = folder ~ '/parquet' -%}
    {%- do statements.append("select empty_folder(" ~ literal(folder) ~ ")") -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model'
        and node.schema in ['marts', 'publication'] -%}
        {%- do statements.append(
            "copy " ~ node.schema ~ "." ~ node.name ~ " to " ~ literal(folder ~ '/' ~ node.name ~ '.parquet')
            ~ " (format parquet, compression zstd)"
        ) -%}
    {%- endfor -%}
    {{ return(statements) }}
{%- endmacro %}


{% macro published_schemas() -%}
    {%- set schemas = [] -%}
    {%- for name in ['marts', 'metering', 'audit', 'rules', 'labels', 'publication'] -%}
        {%- do schemas.append(working_schema(name)) -%}
    {%- endfor -%}
    {{ return(schemas) }}
{%- endmacro %}
