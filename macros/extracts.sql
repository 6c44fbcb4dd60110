{#- Reading extracts: where a run's rows come from. The contract of each extract is the source `extracts` in
    models/staging/_extracts.yml: its columns, their types, and which of them must be there. -#}

{#- The relation that holds an extract's rows as they were delivered: the sample seed, or the view that
    prepare_extracts() laid over files or tables. Beside the contract's columns it has load_id and file_name. -#}
{% macro extract(name) -%}
    {%- if is_sample() -%}
    {#- the seed's rows, with the columns of the views over files -#}
    (select *, 1 as load_id, 'raw_{{ name }}.csv' as file_name from {{ ref('raw_' ~ name) }}) as raw_{{ name }}
    {%- else -%}
    {{ source('extracts', name) }}
    {%- endif -%}
{%- endmacro %}


{% macro is_sample() -%}
    {{ return(env_var('EXTRACTS_DIR', '') == '' and var('extracts_schema', none) is none and not boolean_option('only_stored_deliveries')) }}
{%- endmacro %}


{#- The contract of one extract, a source of dbt's graph; none while dbt only parses. -#}
{% macro extract_contract(name) -%}
    {{ return(graph.sources.values() | selectattr('source_name', 'equalto', 'extracts') | selectattr('name', 'equalto', name) | first) }}
{%- endmacro %}


{#- Why a row of the extract can't be used, or null: the first column, in the contract's order, that is missing,
    unreadable, or a word that the contract doesn't know. The model has each value as the contract's type in a column
    read_<name>, null where it can't be read. -#}
{% macro quarantine_reason(name) -%}
    case
    {%- if execute %}
    {%- for column in extract_contract(name).columns.values() %}
    {%- set terms = column.meta %}
    {%- if terms.required and not terms.may_be_empty %}
        when {{ column.name }} is null then 'missing {{ column.name }}'
    {%- endif %}
    {%- if terms.is_status %}
        when {{ column.name }} is not null and read_{{ column.name }} is null then 'unknown {{ column.name }}'
    {%- elif terms.accepted_values %}
        when read_{{ column.name }} not in ('{{ terms.accepted_values | join("', '") }}') then 'unknown {{ column.name }}'
    {%- elif column.data_type != 'string' and not terms.may_be_unreadable %}
        when {{ column.name }} is not null and read_{{ column.name }} is null then 'unreadable {{ column.name }}'
    {%- endif %}
    {%- if terms.is_count %}
        when read_{{ column.name }} < 0 then 'negative {{ column.name }}'
    {%- endif %}
    {%- endfor %}
    {%- endif %}
    end
{%- endmacro %}


{#- The delivered row as JSON text, for the quarantine. -#}
{% macro row_content(name) -%}
    {%- if execute -%}
    {{ row_as_json(extract_contract(name).columns.keys() | list) }}
    {%- else -%}
    null
    {%- endif -%}
{%- endmacro %}


{#- Run hook. Lays a view over the files or tables of each extract, with the contract's columns whatever the files
    hold, before any model runs. Stops the run when an extract can't be read, naming folder, file and column. -#}
{% macro prepare_extracts() -%}
    {%- if execute and is_sample() and flags.WHICH in ['build', 'run', 'seed'] -%}
        {%- do keep_sample_from_deliveries() -%}
    {%- endif -%}
    {%- if execute and not is_sample() -%}
        {%- if env_var('EXTRACTS_DIR', '') and var('extracts_schema', none) is not none -%}
            {{ exceptions.raise_compiler_error("Both EXTRACTS_DIR and the var extracts_schema are set: unset one.") }}
        {%- endif -%}
        {%- set contracts = {} -%}
        {%- for node in graph.sources.values() if node.source_name == 'extracts' -%}
            {%- do contracts.update({node.name: node}) -%}
        {%- endfor -%}
        {#- no sample data beside real data -#}
        {%- do run_statements([
            "drop schema if exists " ~ working_schema('sample') ~ " cascade",
            "drop schema if exists extracts cascade",
            "create schema extracts",
        ]) -%}
        {%- if var('extracts_schema', none) is not none -%}
            {%- do view_tables(var('extracts_schema'), contracts) -%}
        {%- else -%}
            {%- do view_deliveries(contracts) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- A scheduler that loses EXTRACTS_DIR must not publish the sample over a partner's figures. -#}
{% macro keep_sample_from_deliveries() -%}
    {%- if target.type == 'duckdb' and run_query("select count(*) from glob(" ~ literal(exact_pattern(deliveries_path()) ~ '/*/manifest.json') ~ ")").columns[0].values()[0] -%}
        {{ exceptions.raise_compiler_error(
            "EXTRACTS_DIR is not set, and " ~ deliveries_path() ~ " holds deliveries of your own: the sample is not built over them. "
            ~ "Set EXTRACTS_DIR; for the sample, name another WAREHOUSE_DIR; to compute from what is stored, pass --vars '{only_stored_deliveries: true}'."
        ) }}
    {%- endif -%}
{%- endmacro %}


{% macro view_deliveries(contracts) -%}
    {{ return(adapter.dispatch('view_deliveries')(contracts)) }}
{%- endmacro %}

{#- Stores what is new under EXTRACTS_DIR, and lays the views over stored files. -#}
{% macro duckdb__view_deliveries(contracts) -%}
    {%- set terms = {} -%}
    {%- for name, contract in contracts.items() -%}
        {%- do terms.update({name: {'required': contract.meta.required or false, 'columns': required_columns(contract), 'all_columns': contract.columns.keys() | list}}) -%}
    {%- endfor -%}
    {%- set folder = env_var('EXTRACTS_DIR') if flags.WHICH in ['build', 'run'] and not boolean_option('only_stored_deliveries') else '' -%}
    {%- set answer = run_query("select take_in_deliveries(" ~ literal(folder) ~ ", " ~ literal(deliveries_path()) ~ ", " ~ literal(tojson(terms)) ~ ")") -%}
    {%- set found = fromjson(answer.columns[0].values()[0]) -%}
    {%- if found.problem -%}
        {{ exceptions.raise_compiler_error(found.problem) }}
    {%- endif -%}
    {%- for path in found.ignored -%}
        {%- do log("Ignored, neither an extract's folder nor a file of a known format: " ~ path, info=True) -%}
    {%- endfor -%}
    {%- do empty_state('stored_files') -%}
    {%- for name, files in found.files.items() -%}
        {%- set rows = [] -%}
        {%- for file in files -%}
            {%- do rows.append("(" ~ file[0] ~ ", " ~ literal(file[1]) ~ ")") -%}
        {%- endfor -%}
        {%- do run_query(
            "insert into run_state.stored_files select " ~ literal(name) ~ ", load_id, path, file_name, " ~ row_hash(['load_id', 'file_name'])
            ~ " from (select cast(load_id as bigint) as load_id, path, " ~ delivered_name('path') ~ " as file_name from (values " ~ rows | join(', ') ~ ") as files (load_id, path)) as named"
        ) -%}
    {%- endfor -%}
    {%- for contract in contracts.values() -%}
        {%- do view_stored_files(contract, is_new() if contract.meta.is_read_by_load else 'true') -%}
    {%- endfor -%}
{%- endmacro %}


{% macro deliveries_path() -%}
    {{ return(warehouse_path('deliveries')) }}
{%- endmacro %}


{#- A stored file's path below the deliveries is 000001/<path below EXTRACTS_DIR>.parquet: the load that it came with,
    and what it was delivered as. By position, since a search in each row's path takes as long as reading the row. -#}
{% macro load_of(path) -%}
    {{ return("cast(substr(" ~ path ~ ", 1, 6) as bigint)") }}
{%- endmacro %}

{% macro delivered_name(path) -%}
    {{ return("substr(" ~ path ~ ", 8, length(" ~ path ~ ") - 15)") }}
{%- endmacro %}


{#- The view over those stored files of an extract for which the condition holds. -#}
{% macro view_stored_files(contract, condition) -%}
    {%- set paths = run_query("select path from run_state.stored_files where extract_name = " ~ literal(contract.name) ~ " and " ~ condition ~ " order by path").columns[0].values() -%}
    {%- set patterns = [] -%}
    {%- for path in paths -%}
        {%- do patterns.append(literal(exact_pattern(deliveries_path() ~ '/' ~ path))) -%}
    {%- endfor -%}
    {%- if patterns -%}
        {%- set path = 'substr(filename, ' ~ (deliveries_path() | length + 2) ~ ')' -%}
        {%- do create_extract_view(
            contract,
            "read_parquet([" ~ patterns | join(', ') ~ "], union_by_name = true, filename = true, hive_partitioning = false)",
            delivered_name(path),
            load_of(path)
        ) -%}
    {%- else -%}
        {%- do create_extract_view(contract, none, none, none) -%}
    {%- endif -%}
{%- endmacro %}


{#- Post-hook of changed_requests, the last of what says where this run looks again: the views over jobs, steps and
    requests come to hold the older files with deliveries of those, too. -#}
{% macro view_changed_deliveries() -%}
    {{ return(adapter.dispatch('view_changed_deliveries')()) }}
{%- endmacro %}

{% macro duckdb__view_changed_deliveries() -%}
    {%- if execute and not is_whole_run() -%}
        {%- set staging = working_schema('staging') -%}
        {%- set holds_changed -%}
            (
                {{ is_new() }}
                or file_hash in (select file_hash from {{ staging }}.delivered_jobs where {{ is_changed_job('job_hash', staging ~ '.changed_jobs') }})
                or file_hash in (select file_hash from {{ staging }}.delivered_steps where {{ is_changed_job('job_hash', staging ~ '.changed_jobs') }})
                or file_hash in (select file_hash from {{ staging }}.delivered_requests where {{ is_changed_request('request_hash', staging ~ '.changed_requests') }})
            )
        {%- endset -%}
        {%- for node in graph.sources.values() if node.source_name == 'extracts' and node.meta.is_read_by_load -%}
            {%- do view_stored_files(node, holds_changed) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}


{#- Tables named <name> or raw_<name> in a schema that is already in the warehouse. -#}
{% macro view_tables(schema, contracts) -%}
    {%- do bring_schema(schema) -%}
    {%- set tables = columns_of_tables(schema) -%}
    {%- if not tables -%}
        {{ exceptions.raise_compiler_error("The schema " ~ schema ~ " (var extracts_schema) has no tables in the warehouse.") }}
    {%- endif -%}
    {%- for name, contract in contracts.items() -%}
        {%- set table = [name, 'raw_' ~ name] | select('in', tables) | first -%}
        {%- if table -%}
            {%- for column in required_columns(contract) if column not in tables[table] -%}
                {{ exceptions.raise_compiler_error("The table " ~ schema ~ "." ~ table ~ " lacks the required column " ~ column ~ ".") }}
            {%- endfor -%}
            {%- do create_extract_view(contract, adapter.quote(schema) ~ "." ~ adapter.quote(table), literal(schema ~ '.' ~ table), '1') -%}
        {%- else -%}
            {%- set streamed = name in ('jobs', 'steps') and ('job_history' in tables or 'raw_job_history' in tables) -%}
            {%- if contract.meta.required and not streamed -%}
                {{ exceptions.raise_compiler_error("The schema " ~ schema ~ " lacks the required table " ~ name ~ " (or raw_" ~ name ~ ").") }}
            {%- endif -%}
            {%- do create_extract_view(contract, none, none, none) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}


{% macro columns_of_tables(schema) -%}
    {{ return(adapter.dispatch('columns_of_tables')(schema)) }}
{%- endmacro %}

{#- The tables and views of a schema: {name: [its columns, in small letters]}. -#}
{% macro duckdb__columns_of_tables(schema) -%}
    {%- set tables = {} -%}
    {%- for row in run_query("select table_name, column_name from information_schema.columns where table_catalog = current_database() and table_schema = " ~ literal(schema)).rows -%}
        {%- do tables.setdefault(row[0], []).append(row[1] | lower) -%}
    {%- endfor -%}
    {{ return(tables) }}
{%- endmacro %}

{% macro spark__columns_of_tables(schema) -%}
    {%- set tables = {} -%}
    {%- if run_query("show schemas like " ~ literal(schema)).rows -%}
        {%- for row in run_query("show tables in " ~ schema).rows if row[0] == schema -%}
            {%- do tables.update({row[1]: adapter.get_columns_in_relation(api.Relation.create(schema=schema, identifier=row[1])) | map(attribute='name') | map('lower') | list}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(tables) }}
{%- endmacro %}


{% macro required_columns(contract) -%}
    {%- set names = [] -%}
    {%- for column in contract.columns.values() if column.meta.required -%}
        {%- do names.append(column.name) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}


{#- The view extracts.<name>: the contract's columns, null where the input lacks an optional one. A typed column
    stays as it is where its type can be cast to the contract's; everything else becomes text, and an empty text
    null, so that every format reads alike. Without an input the view has no rows: no such usage. -#}
{% macro create_extract_view(contract, input, file_name, load_id) -%}
    {%- set castable = {
        'timestamp': ['TIMESTAMP', 'TIMESTAMP WITH TIME ZONE', 'TIMESTAMP_NS', 'TIMESTAMP_MS', 'TIMESTAMP_S', 'TIMESTAMP_NTZ', 'DATE'],
        'bigint': ['BIGINT', 'INTEGER', 'INT', 'SMALLINT', 'TINYINT', 'UBIGINT', 'UINTEGER', 'DOUBLE', 'FLOAT'],
        'boolean': ['BOOLEAN'],
        'decimal(18, 6)': ['DOUBLE', 'FLOAT', 'DECIMAL(18,6)'],
    } -%}
    {%- set types = {} -%}
    {%- if input -%}
        {%- for row in run_query("describe select * from " ~ input).rows -%}
            {%- do types.update({(row[0] | lower): row[1] | upper}) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if types and contract.name == 'job_history' and 'record' not in types -%}
        {#- streamed jobs in columns rather than as JSON: back to the JSON object they were -#}
        {%- set input = "(select *, " ~ whole_row_as_json('streamed') ~ " as record from " ~ input ~ " as streamed) as records" -%}
        {%- do types.update({'record': 'STRING'}) -%}
    {%- endif -%}
    {%- set select = [] -%}
    {%- for column in contract.columns.values() -%}
        {%- if column.name not in types -%}
            {%- do select.append("cast(null as string) as " ~ column.name) -%}
        {%- elif types[column.name] in castable.get(column.data_type, []) -%}
            {%- do select.append(column.name) -%}
        {%- else -%}
            {%- do select.append("nullif(cast(" ~ column.name ~ " as string), '') as " ~ column.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do run_query(
        "create or replace view extracts." ~ contract.name ~ " as select " ~ select | join(', ') ~ ", "
        ~ ((load_id ~ " as load_id, " ~ file_name ~ " as file_name from " ~ input) if input else "cast(null as bigint) as load_id, cast(null as string) as file_name where false")
    ) -%}
{%- endmacro %}
