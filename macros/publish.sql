{#- Publishing: the build works on its own database; what people open is replaced in one step, or not at all. -#}

{% macro warehouse_path(name) -%}
    {{ return(env_var('WAREHOUSE_DIR', 'warehouse') ~ '/' ~ name) }}
{%- endmacro %}


{% macro published_path() -%}
    {{ return(warehouse_path('usage.duckdb')) }}
{%- endmacro %}


{#- Run hook, last. Publishes when the whole project was built and every node succeeded, and says where it is. -#}
{% macro publish(results) -%}
    {{ return(adapter.dispatch('publish')(results)) }}
{%- endmacro %}

{% macro duckdb__publish(results) -%}
    {%- if execute and flags.WHICH == 'build' -%}
        {%- set failed = results | rejectattr('status', 'in', ['success', 'pass', 'warn', 'no-op']) | list -%}
        {%- if failed or invocation_args_dict.get('select') or invocation_args_dict.get('exclude') or invocation_args_dict.get('resource_types') -%}
            {%- do log("Not published: " ~ (failed | length ~ " nodes failed or were skipped" if failed else "only a part of the project was built") ~ ". " ~ published_path() ~ " is as it was.", info=True) -%}
        {%- else -%}
            {#- views over files of this machine mean nothing to readers -#}
            {%- do drop_views_over_files() -%}
            {%- do run_query("update publication.runs set published_at = " ~ utc_now() ~ " where run_id = " ~ literal(invocation_id)) -%}
            {%- do settle_run() -%}
            {%- do export_marts() -%}
            {%- do run_query("checkpoint") -%}
            {%- set problem = run_query("select publish_warehouse(" ~ literal(target.path) ~ ", " ~ literal(published_path()) ~ ", " ~ literal(invocation_id) ~ ")").columns[0].values()[0] -%}
            {%- if problem -%}
                {{ exceptions.raise_compiler_error("Not published: " ~ problem) }}
            {%- endif -%}
            {%- do summarize() -%}
            {%- do dashboard() -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- The dashboard of what was just published, where the var asks for it. What goes wrong with it takes nothing back, and
    ends the run with an error. -#}
{% macro dashboard() -%}
    {%- if var('dashboard') -%}
        {%- set problem = run_query("select write_dashboard(" ~ literal(published_path()) ~ ")").columns[0].values()[0] -%}
        {%- if problem -%}
            {{ exceptions.raise_compiler_error(published_path() ~ " is published, but its dashboard is not written: " ~ problem) }}
        {%- endif -%}
        {%- do log("Dashboard " ~ warehouse_path('dashboard/index.html'), info=True) -%}
    {%- endif -%}
{%- endmacro %}


{#- The views over files of this machine, and those that read them: the next run makes them anew. -#}
{% macro drop_views_over_files() -%}
    {%- if not is_sample() -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.schema == 'staging' and node.config.materialized == 'view' -%}
            {%- do run_query("drop view if exists staging." ~ node.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- do run_query("drop schema if exists extracts cascade") -%}
{%- endmacro %}


{#- Writes each mart, and the table of runs, as a Parquet file beside the build's database. -#}
{% macro export_marts() -%}
    {%- set folder = target.path.rsplit('/', 1)[0] ~ '/parquet' -%}
    {%- do run_query("select empty_folder(" ~ literal(folder) ~ ")") -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.schema in ['marts', 'publication'] -%}
        {%- do run_query("copy " ~ node.schema ~ "." ~ node.name ~ " to " ~ literal(folder ~ '/' ~ node.name ~ '.parquet') ~ " (format parquet, compression zstd)") -%}
    {%- endfor -%}
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


{#- The newest month's totals, and what a person should look at. -#}
{% macro summarize() -%}
    {%- set months = run_query("select usage_month, count(*), sum(tasks), sum(business_actions), sum(api_calls), sum(pages_processed), sum(events_processed), sum(mcp_calls), sum(genie_actions), sum(go_seats), sum(workflow_app_seats) from marts.monthly_customer_usage where is_current_month group by usage_month") -%}
    {%- set findings = run_query("select (select count(*) from audit.quarantined_rows), (select count(*) from audit.findings)").rows[0] -%}
    {%- do log("", info=True) -%}
    {%- do log("Published " ~ published_path(), info=True) -%}
    {%- for month in months.rows -%}
        {%- do log("Usage in " ~ month[0].strftime('%B %Y') ~ ", " ~ month[1] ~ " customers:", info=True) -%}
        {%- for name in ['tasks', 'business actions', 'API calls', 'pages processed', 'events processed', 'MCP calls', 'genie actions', 'GO seats', 'workflow app seats'] -%}
            {%- do log("  " ~ "{:>12,}".format(month[loop.index + 1] | int) ~ "  " ~ name, info=True) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do log("  " ~ "{:>12,}".format(findings[0]) ~ "  rows in audit.quarantined_rows, " ~ "{:,}".format(findings[1]) ~ " in audit.findings", info=True) -%}
{%- endmacro %}


{#- Brings a schema that others keep in the published database into the build's own: the extracts of the var
    extracts_schema. Being copied with every build, it is still there after the published file was replaced. -#}
{% macro bring_schema(schema) -%}
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


{#- Run hook. A run that was killed or failed on its way out told of itself and was never published. What was, the
    published Parquet files say: unlike the database, nobody can have them locked. -#}
{% macro forget_unpublished_runs() -%}
    {{ return(adapter.dispatch('forget_unpublished_runs')()) }}
{%- endmacro %}

{% macro duckdb__forget_unpublished_runs() -%}
    {%- if execute and run_query("select count(*) from duckdb_tables() where schema_name = 'publication' and table_name = 'runs'").columns[0].values()[0] -%}
        {%- set told = warehouse_path('parquet/runs.parquet') -%}
        {%- do run_query("delete from publication.runs" ~ (" where run_id not in (select run_id from read_parquet(" ~ literal(exact_pattern(told)) ~ "))" if is_file(told))) -%}
    {%- endif -%}
{%- endmacro %}


{% macro is_file(path) -%}
    {{ return(run_query("select count(*) from glob(" ~ literal(exact_pattern(path)) ~ ")").columns[0].values()[0] > 0) }}
{%- endmacro %}


{#- A path as a pattern that matches only itself. -#}
{% macro exact_pattern(path) -%}
    {{ return(path | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]')) }}
{%- endmacro %}


{#- Spark keeps tables rather than files: publishing is by schema. -#}
{% macro spark__publish(results) -%}
{%- endmacro %}

{% macro spark__forget_unpublished_runs() -%}
{%- endmacro %}
