{#- Extracts from files on Spark. Each file is read once: its rows are added, as text, to the table deliveries.<extract> as
    part of the run's load, and stay there when the source has dropped the file. What was read stands in
    run_state.delivered_files, by name, size and time of change. -#}
{% macro spark__view_deliveries(contracts) -%}
    {%- do run_query("create schema if not exists deliveries") -%}
    {%- do run_query("create table if not exists run_state.delivered_files (file_name string, size bigint, changed_at string, load_id bigint)") -%}
    {%- if flags.WHICH in ['build', 'run'] and not boolean_option('only_stored_deliveries') -%}
        {%- do take_in(contracts) -%}
    {%- endif -%}
    {%- do run_query(
        "insert overwrite run_state.stored_files select split_part(file_name, '/', 1), load_id, file_name, file_name, "
        ~ row_hash(['load_id', 'file_name']) ~ " from run_state.delivered_files"
    ) -%}
    {%- for name, contract in contracts.items() -%}
        {%- do create_deliveries_table(contract) -%}
        {%- do create_extract_view(
            contract, "(select * from deliveries." ~ name ~ " where " ~ is_new() ~ ") as stored", "file_name", "load_id"
        ) -%}
    {%- endfor -%}
{%- endmacro %}


{#- Each load's rows are parsed once and kept: a run that looks at older ones again reads them where they are kept. -#}
{% macro spark__view_changed_deliveries() -%}
{%- endmacro %}


{% macro create_deliveries_table(contract) -%}
    {%- do run_query(
        "create table if not exists deliveries." ~ contract.name ~ " (" ~ contract.columns.keys() | join(' string, ')
        ~ " string, file_name string, load_id bigint) partitioned by (load_id)"
    ) -%}
{%- endmacro %}


{#- Reads the files that are new; stops the run where an extract or a column is missing. -#}
{% macro take_in(contracts) -%}
    {%- set folder = env_var('EXTRACTS_DIR').rstrip('/') -%}
    {%- do run_query("create or replace temporary view lying using binaryFile options (path " ~ literal(folder) ~ ", recursiveFileLookup 'true')") -%}
    {%- set name = "substr(path, locate(" ~ literal(folder ~ '/') ~ ", path) + " ~ (folder | length + 1) ~ ")" -%}
    {%- set found = run_query(
        "select distinct lying.file_name, lying.size, lying.changed_at from (select " ~ name ~ " as file_name, length as size, cast(modificationTime as string) as changed_at from lying) as lying"
        ~ " left anti join run_state.delivered_files as known on lying.file_name = known.file_name and lying.size = known.size and lying.changed_at = known.changed_at"
        ~ " order by lying.file_name"
    ).rows -%}
    {%- set load_id = run_query("select coalesce(max(load_id), 0) + 1 from run_state.delivered_files").columns[0].values()[0] -%}
    {%- set known = run_query("select distinct split_part(file_name, '/', 1) from run_state.delivered_files").columns[0].values() | list -%}
    {%- for file in found if file[0].startswith('job_history/') -%}
        {%- do known.append('job_history') -%}
    {%- endfor -%}
    {%- set rows = [] -%}
    {%- for extract, contract in contracts.items() -%}
        {%- do create_deliveries_table(contract) -%}
        {%- set formats = {} -%}
        {%- for file in found if file[0].startswith(extract ~ '/') -%}
            {%- set ending = modules.re.search('[.](parquet|csv|json)(?:[.]gz)?$', file[0]) -%}
            {%- if ending -%}
                {%- do formats.setdefault(ending.group(1), []).append(file[0]) -%}
                {%- do rows.append("(" ~ [literal(file[0]), file[1], literal(file[2]), load_id] | join(', ') ~ ")") -%}
            {%- else -%}
                {%- do log("Ignored, neither an extract's folder nor a file of a known format: " ~ file[0], info=True) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if contract.meta.required and not formats and extract not in known
            and not (extract in ['jobs', 'steps'] and 'job_history' in known) -%}
            {{ exceptions.raise_compiler_error(folder ~ " lacks the required extract " ~ extract ~ ".") }}
        {%- endif -%}
        {%- for format, files in formats.items() -%}
            {%- do take_in_files(contract, folder, format, files, load_id) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if rows -%}
        {%- do run_query("insert into run_state.delivered_files values " ~ rows | join(', ')) -%}
    {%- endif -%}
{%- endmacro %}


{% macro take_in_files(contract, folder, format, files, load_id) -%}
    {%- set columns = contract.columns.keys() | list -%}
    {%- set names = [] -%}
    {%- for file in files -%}
        {%- do names.append(literal(file)) -%}
    {%- endfor -%}
    {%- set path = "path " ~ literal(folder ~ '/' ~ contract.name) ~ ", recursiveFileLookup 'true'" -%}
    {%- set file_name = "substr(url_decode(replace(input_file_name(), '+', '%2B')), locate(" ~ literal(folder ~ '/') ~ ", url_decode(replace(input_file_name(), '+', '%2B'))) + " ~ (folder | length + 1) ~ ")" -%}
    {%- if format == 'parquet' -%}
        {%- do run_query("create or replace temporary view files using parquet options (" ~ path ~ ", mergeSchema 'true', pathGlobFilter '*.parquet')") -%}
        {%- set present = [] -%}
        {%- for row in run_query("describe select * from files").rows -%}
            {%- do present.append(row[0] | lower) -%}
        {%- endfor -%}
        {%- do require_columns(contract, folder, present) -%}
        {%- set values = [] -%}
        {%- for column in columns -%}
            {%- do values.append("cast(" ~ (column if column in present else 'null') ~ " as string)") -%}
        {%- endfor -%}
        {%- set rows = "select " ~ values | join(', ') ~ ", " ~ file_name ~ " as file_name from files" -%}
    {%- elif format == 'csv' -%}
        {#- the header is the first row of a file; columns may come in any order, another one in each file -#}
        {%- set positions = [] -%}
        {%- for position in range(100) -%}
            {%- do positions.append('_' ~ position) -%}
        {%- endfor -%}
        {%- do run_query(
            "create or replace temporary view files (" ~ positions | join(' string, ') ~ " string) using csv options (" ~ path
            ~ ", pathGlobFilter '*.{csv,csv.gz}', header 'false', multiLine 'true', quote '\"', escape '\"', encoding 'UTF-8', emptyValue '', maxCharsPerColumn '-1')"
        ) -%}
        {%- set values = [] -%}
        {%- for column in columns -%}
            {%- do values.append("try_element_at(held, cast(nullif(array_position(header, " ~ literal(column) ~ "), 0) as int)) as " ~ column) -%}
        {%- endfor -%}
        {%- set numbered = "select array(" ~ positions | join(', ') ~ ") as held, " ~ file_name ~ " as file_name, monotonically_increasing_id() as row_id from files" -%}
        {%- set headed =
            "select *, min_by(transform(held, name -> lower(trim(replace(name, '\\ufeff', '')))), row_id) over (partition by file_name) as header, min(row_id) over (partition by file_name) as header_id from ("
            ~ numbered ~ ") as numbered"
        -%}
        {%- set rows = "select " ~ values | join(', ') ~ ", file_name from (" ~ headed ~ ") as headed where row_id > header_id" -%}
    {%- else -%}
        {%- do run_query("create or replace temporary view files using text options (" ~ path ~ ", pathGlobFilter '*.{json,json.gz}', wholetext 'true')") -%}
        {%- set values = [] -%}
        {%- for column in columns -%}
            {%- do values.append("record as record" if contract.name == 'job_history' and column == 'record' else json_text('record', column) ~ " as " ~ column) -%}
        {%- endfor -%}
        {%- set records =
            "select explode(case when " ~ is_json('value') ~ " then array(value) else filter(split(value, '\\n'), line -> trim(line) <> '') end) as record, file_name"
            ~ " from (select value, " ~ file_name ~ " as file_name from files) as texts"
        -%}
        {%- set rows = "select " ~ values | join(', ') ~ ", file_name from (" ~ records ~ ") as records" -%}
    {%- endif -%}
    {%- do run_query(
        "insert into deliveries." ~ contract.name ~ " select *, cast(" ~ load_id ~ " as bigint) from (" ~ rows ~ ") as delivered"
        ~ " where file_name in (" ~ names | join(', ') ~ ")"
    ) -%}
{%- endmacro %}


{% macro require_columns(contract, folder, present) -%}
    {%- for column in required_columns(contract) if column not in present -%}
        {{ exceptions.raise_compiler_error("The files in " ~ folder ~ "/" ~ contract.name ~ " lack the required column " ~ column ~ ".") }}
    {%- endfor -%}
{%- endmacro %}
