{#- Closed months. Decisions: docs/decisions/closed-months.md -#}

{% macro causes_of_restatements() -%}
    {{ return([
        'removed_load', 'replaced_delivery', 'late_delivery', 'listing_change', 'seat_or_term_change', 'rule_change',
        'option_change', 'code_change',
    ]) }}
{%- endmacro %}


{% macro order_of_cause(column) -%}
    case {{ column }}
    {%- for cause in causes_of_restatements() %}
        when '{{ cause }}' then {{ loop.index }}
    {%- endfor %}
    end
{%- endmacro %}


{% macro read_closes() -%}
    {%- if execute and flags.WHICH in ['build', 'run'] -%}
        {{ return(adapter.dispatch('read_closes')()) }}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__read_closes() -%}
    {%- set found = fromjson(
        run_query("select closed_months(" ~ literal(warehouse_path('closes')) ~ ")").columns[0].values()[0]
    ) -%}
    {%- if found.problem -%}
        {{ exceptions.raise_compiler_error(found.problem) }}
    {%- endif -%}
    {%- set state = literal(tojson(found.state)) -%}
    {%- set statements = ["create or replace table run_state.closing as select " ~ state ~ " as state"] -%}
    {%- for table in [
        'closed_months', 'closed_figures', 'erased_customers', 'restatements', 'replayed_restatements', 'restating',
    ] -%}
        {%- do statements.append("truncate table run_state." ~ table) -%}
    {%- endfor -%}
    {%- do run_statements(statements) -%}
    {%- if found.months -%}
        {%- do replace_state(
            'closed_months',
            "select unnest(" ~ literal(tojson(found.months)) ~ "::json::varchar[]::date[]) as usage_month"
        ) -%}
    {%- endif -%}
    {%- if found.figures -%}
        {%- set digest = "regexp_extract(filename, '([0-9a-f]{64})/figures.parquet$', 1)" -%}
        {%- do replace_state(
            'closed_figures',
            "select usage_month, customer_id, metric, call_type, quantity, closed_at, " ~ digest
            ~ " as manifest_digest from " ~ parquet_files(found.figures)
        ) -%}
    {%- endif -%}
    {%- if found.erased -%}
        {%- do replace_state(
            'erased_customers', "select unnest(" ~ literal(tojson(found.erased)) ~ "::json::varchar[]) as customer_id"
        ) -%}
    {%- endif -%}
    {%- if found.restatements -%}
        {%- do replace_state('restatements', "from " ~ parquet_files(found.restatements)) -%}
    {%- endif -%}
{%- endmacro %}

{#- Months are closed on DuckDB (docs/growing-up.md). -#}
{% macro spark__read_closes() -%}
{%- endmacro %}


{% macro parquet_files(paths) -%}
    {%- set patterns = [] -%}
    {%- for path in paths -%}
        {%- do patterns.append(literal(exact_pattern(path))) -%}
    {%- endfor -%}
    {{ return(
        "read_parquet([" ~ patterns | join(', ') ~ "], hive_partitioning = false, filename = true, "
        ~ "union_by_name = true)"
    ) }}
{%- endmacro %}


{% macro inputs_of_run() -%}
    {%- set kinds_of_runs = [
        'as_of_date', 'extracts_schema', 'only_stored_deliveries', 'quarantine_files', 'recompute_month', 'dashboard',
        'settling_seconds', 'freshness_warn_hours', 'freshness_error_hours', 'freshness_kept_warn_hours',
    ] -%}
    {%- set options, loads, digests = {}, {}, code_digests() -%}
    {%- for name in known_options() if name not in kinds_of_runs -%}
        {%- do options.update({name: boolean_option(name) if known_options()[name] == 'boolean' else var(name)}) -%}
    {%- endfor -%}
    {%- for load, identity in run_query("select load_id, identity from run_state.stored_loads").rows -%}
        {%- do loads.update({identity: load | int}) -%}
    {%- endfor -%}
    {{ return({
        'as_of_date': run_query(
            "select as_of_date from " ~ working_schema('intake') ~ ".as_of"
        ).columns[0].values()[0] | string,
        'newest_date': run_query("select " ~ newest_date()).columns[0].values()[0] | string,
        'loads': loads,
        'options': options,
        'rules': digests.rules,
        'code': digests.code,
        'source': 'the sample' if is_sample() else 'tables' if var('extracts_schema', none) is not none
            else 'deliveries',
    }) }}
{%- endmacro %}


{#- Whether this run compares the closed months. One with an as-of date before the newest delivery shows the past: it
    neither writes nor compares closes. -#}
{% macro compares_closes() -%}
    {%- if not execute -%}
        {%- do ref('as_of') -%}
        {%- do ref('delivery_totals') -%}
        {{ return(false) }}
    {%- endif -%}
    {%- if target.type != 'duckdb' or flags.WHICH not in ['build', 'run'] -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set intake = working_schema('intake') -%}
    {{ return(run_query(
        "select exists (select 1 from run_state.closed_months) and coalesce((select as_of_date from " ~ intake
        ~ ".as_of) >= " ~ newest_date() ~ ", false)"
    ).columns[0].values()[0]) }}
{%- endmacro %}


{#- Writes what this run changed in closed months to a file; returns the number of rows. -#}
{% macro export_restatements() -%}
    {%- set new = "from marts.usage_restatements where run_id = " ~ literal(invocation_id) -%}
    {%- set file = target.path.rsplit('/', 1)[0] ~ '/restatements.parquet' -%}
    {%- do run_query("copy (select * " ~ new ~ ") to " ~ literal(file) ~ " (format parquet, compression zstd)") -%}
    {{ return(run_query("select count(*) " ~ new).columns[0].values()[0] | int) }}
{%- endmacro %}
