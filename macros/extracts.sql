{#- Reading extracts: where a run's rows come from. The contract of each extract is the source `extracts` in
    models/staging/_extracts.yml: its columns, their types, and which of them must be there. -#}

{#- The relation that holds an extract's rows as they were delivered: the sample seed, or the view that
    prepare_extracts() laid over files or tables. Beside the contract's columns it has file_name. -#}
{% macro extract(name) -%}
    {%- if is_sample() -%}
    {#- the seed's rows, with the same file_name column as the views over files -#}
    (select *, 'raw_{{ name }}.csv' as file_name from {{ ref('raw_' ~ name) }}) as raw_{{ name }}
    {%- else -%}
    {{ source('extracts', name) }}
    {%- endif -%}
{%- endmacro %}


{% macro is_sample() -%}
    {{ return(env_var('EXTRACTS_DIR', '') == '' and var('extracts_schema', none) is none) }}
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
    {%- if execute and not is_sample() -%}
        {%- if env_var('EXTRACTS_DIR', '') and var('extracts_schema', none) is not none -%}
            {{ exceptions.raise_compiler_error("Both EXTRACTS_DIR and the var extracts_schema are set: unset one.") }}
        {%- endif -%}
        {%- set contracts = {} -%}
        {%- for node in graph.sources.values() if node.source_name == 'extracts' -%}
            {%- do contracts.update({node.name: node}) -%}
        {%- endfor -%}
        {#- no sample data beside real data -#}
        {%- do run_query("drop schema if exists sample cascade") -%}
        {%- do run_query("drop schema if exists extracts cascade") -%}
        {%- do run_query("create schema extracts") -%}
        {%- if env_var('EXTRACTS_DIR', '') -%}
            {%- do view_files(env_var('EXTRACTS_DIR'), contracts) -%}
        {%- else -%}
            {%- do view_tables(var('extracts_schema'), contracts) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro view_files(folder, contracts) -%}
    {%- set terms = {} -%}
    {%- for name, contract in contracts.items() -%}
        {%- do terms.update({name: {'required': contract.meta.required or false, 'columns': required_columns(contract)}}) -%}
    {%- endfor -%}
    {%- set answer = run_query("select list_extracts(" ~ literal(folder) ~ ", " ~ literal(tojson(terms)) ~ ")") -%}
    {%- set found = fromjson(answer.columns[0].values()[0]) -%}
    {%- if found.problem -%}
        {{ exceptions.raise_compiler_error(found.problem) }}
    {%- endif -%}
    {%- for path in found.ignored -%}
        {%- do log("Ignored, neither an extract's folder nor a file of a known format: " ~ path, info=True) -%}
    {%- endfor -%}
    {%- for name, contract in contracts.items() -%}
        {%- if name in found.extracts -%}
            {%- do create_extract_view(contract, read_files(contract, found.extracts[name].format, found.extracts[name].reads), 'substr(filename, ' ~ (found.root | length + 2) ~ ')') -%}
        {%- else -%}
            {%- do create_extract_view(contract, none, none) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}


{#- The reading of an extract's files as an SQL table expression. Text formats are read as text: what a value means,
    and whether it can be read at all, is decided once, by the contract. -#}
{% macro read_files(contract, format, reads) -%}
    {%- if format == 'csv' -%}
        {%- set selects = [] -%}
        {%- for read in reads -%}
            {%- do selects.append("select * from " ~ read_csv_files(read)) -%}
        {%- endfor -%}
        {{ return("(" ~ selects | join(" union all by name ") ~ ")") }}
    {%- endif -%}
    {%- set patterns = literals(reads[0].patterns) -%}
    {%- if format == 'parquet' -%}
        {{ return("read_parquet(" ~ patterns ~ ", union_by_name = true, filename = true, hive_partitioning = false)") }}
    {%- elif contract.name == 'job_history' -%}
        {{ return("(select cast(json as varchar) as record, filename from read_json_objects(" ~ patterns ~ ", format = 'auto', filename = true, hive_partitioning = false, maximum_object_size = 67108864))") }}
    {%- else -%}
        {{ return("read_json(" ~ patterns ~ ", format = 'newline_delimited', columns = " ~ text_columns(contract.columns) ~ ", filename = true, hive_partitioning = false, maximum_object_size = 67108864)") }}
    {%- endif -%}
{%- endmacro %}


{#- CSV files that share a header. Nothing is sniffed: a broken row must be an error, never a guess at the header. -#}
{% macro read_csv_files(read) -%}
    {{ return("read_csv(" ~ literals(read.patterns) ~ ", auto_detect = false, header = true, columns = " ~ text_columns(read.columns) ~ ", delim = ',', quote = '\"', escape = '\"', comment = '', strict_mode = true, max_line_size = 67108864, filename = true, hive_partitioning = false)") }}
{%- endmacro %}


{% macro literals(values) -%}
    {%- set quoted = [] -%}
    {%- for value in values -%}
        {%- do quoted.append(literal(value)) -%}
    {%- endfor -%}
    {{ return("[" ~ quoted | join(", ") ~ "]") }}
{%- endmacro %}


{% macro text_columns(names) -%}
    {%- set columns = [] -%}
    {%- for name in names -%}
        {%- do columns.append(literal(name) ~ ": 'varchar'") -%}
    {%- endfor -%}
    {{ return("{" ~ columns | join(", ") ~ "}") }}
{%- endmacro %}


{#- Tables named <name> or raw_<name> in a schema that is already in the warehouse. -#}
{% macro view_tables(schema, contracts) -%}
    {%- do bring_schema(schema) -%}
    {%- set tables = {} -%}
    {%- set listing = run_query("select table_name, column_name from information_schema.columns where table_catalog = current_database() and table_schema = " ~ literal(schema)) -%}
    {%- for row in listing.rows -%}
        {%- do tables.setdefault(row[0], []).append(row[1] | lower) -%}
    {%- endfor -%}
    {%- if not tables -%}
        {{ exceptions.raise_compiler_error("The schema " ~ schema ~ " (var extracts_schema) has no tables in the warehouse.") }}
    {%- endif -%}
    {%- for name, contract in contracts.items() -%}
        {%- set table = [name, 'raw_' ~ name] | select('in', tables) | first -%}
        {%- if table -%}
            {%- for column in required_columns(contract) if column not in tables[table] -%}
                {{ exceptions.raise_compiler_error("The table " ~ schema ~ "." ~ table ~ " lacks the required column " ~ column ~ ".") }}
            {%- endfor -%}
            {%- do create_extract_view(contract, adapter.quote(schema) ~ "." ~ adapter.quote(table), literal(schema ~ '.' ~ table)) -%}
        {%- else -%}
            {%- set streamed = name in ('jobs', 'steps') and ('job_history' in tables or 'raw_job_history' in tables) -%}
            {%- if contract.meta.required and not streamed -%}
                {{ exceptions.raise_compiler_error("The schema " ~ schema ~ " lacks the required table " ~ name ~ " (or raw_" ~ name ~ ").") }}
            {%- endif -%}
            {%- do create_extract_view(contract, none, none) -%}
        {%- endif -%}
    {%- endfor -%}
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
{% macro create_extract_view(contract, input, file_name) -%}
    {%- set castable = {
        'timestamp': ['TIMESTAMP', 'TIMESTAMP WITH TIME ZONE', 'TIMESTAMP_NS', 'TIMESTAMP_MS', 'TIMESTAMP_S', 'DATE'],
        'bigint': ['BIGINT', 'INTEGER', 'SMALLINT', 'TINYINT', 'UBIGINT', 'UINTEGER', 'DOUBLE', 'FLOAT'],
        'boolean': ['BOOLEAN'],
    } -%}
    {%- set types = {} -%}
    {%- if input -%}
        {%- for row in run_query("describe select * from " ~ input).rows -%}
            {%- do types.update({(row[0] | lower): row[1]}) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if types and contract.name == 'job_history' and 'record' not in types -%}
        {#- streamed jobs in columns rather than as JSON: back to the JSON object they were -#}
        {%- set input = "(select *, cast(to_json(streamed) as varchar) as record from " ~ input ~ " as streamed)" -%}
        {%- do types.update({'record': 'VARCHAR'}) -%}
    {%- endif -%}
    {%- set select = [] -%}
    {%- for column in contract.columns.values() -%}
        {%- if column.name not in types -%}
            {%- do select.append("cast(null as varchar) as " ~ column.name) -%}
        {%- elif types[column.name] in castable.get(column.data_type, []) -%}
            {%- do select.append(column.name) -%}
        {%- else -%}
            {%- do select.append("nullif(cast(" ~ column.name ~ " as varchar), '') as " ~ column.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do run_query(
        "create or replace view extracts." ~ contract.name ~ " as select " ~ select | join(', ') ~ ", "
        ~ ((file_name ~ " as file_name from " ~ input) if input else "cast(null as varchar) as file_name where false")
    ) -%}
{%- endmacro %}
