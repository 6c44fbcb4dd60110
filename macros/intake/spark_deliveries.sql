{% macro spark__view_deliveries(contracts) -%}
    {%- set store = deliveries_path() -%}
    {%- do view_manifests(store) -%}
    {%- set superseded = {} -%}
    {%- for name, load, path, rows in run_query(
        "select file.extract, load, file.path, file.rows "
        ~ "from (select load, explode(files) as file from stored_loads) as listed "
        ~ "inner join (select explode(supersedes) as earlier from stored_loads) as continued "
        ~ "on file.path = earlier.path and file.sha256 = earlier.sha256"
    ).rows -%}
        {%- do superseded.setdefault(name, []).append([load, path, rows]) -%}
    {%- endfor -%}
    {%- do compare_superseded(superseded) -%}
    {%- do empty_state('superseded_files') -%}
    {%- for name, files in superseded.items() -%}
        {%- set rows = [] -%}
        {%- for load, path, count in files -%}
            {%- do rows.append("(" ~ [literal(name), load, literal(path), count] | join(', ') ~ ")") -%}
        {%- endfor -%}
        {%- do run_query("insert into run_state.superseded_files values " ~ rows | join(', ')) -%}
    {%- endfor -%}
    {%- do run_query(
        "insert overwrite run_state.stored_files "
        ~ "select file.extract, load, concat(folder, '/', file.extract, '.parquet'), file.path "
        ~ "from (select folder, load, explode(files) as file from stored_loads) as listed"
    ) -%}
    {%- do run_query(
        "insert overwrite run_state.quarantined_files "
        ~ "select file.extract, load, file.path, file.reason, coalesce(newest > load, false) "
        ~ "from (select load, explode(quarantined) as file from stored_loads) as aside "
        ~ "left join (select path, max(load_id) as newest "
        ~ "from (select file_name as path, load_id from run_state.stored_files) as named group by path) as later "
        ~ "on file.path = later.path "
        ~ "left anti join (select explode(files) as taken from stored_loads) as used "
        ~ "on file.path = taken.path and file.sha256 = taken.sha256"
    ) -%}
    {%- do run_query(
        "insert overwrite run_state.compacted_loads "
        ~ "select load, compacted.`at` from stored_loads where compacted is not null"
    ) -%}
    {%- set folders = {} -%}
    {%- for name, folder in run_query(
        "select distinct extract_name, split_part(path, '/', 1) from run_state.stored_files order by 1, 2"
    ).rows -%}
        {%- do folders.setdefault(name, []).append(folder) -%}
    {%- endfor -%}
    {%- for name, contract in contracts.items() -%}
        {%- set found = folders.get(name, []) -%}
        {%- set pattern = store ~ "/{" ~ found | join(',') ~ "}/" ~ name ~ ".parquet" -%}
        {%- set input = "(select * from parquet.`" ~ pattern ~ "` where " ~ is_new_load() ~ ") as stored" -%}
        {%- set inputs = {'': input ~ (without_superseded() if name in superseded else '')} if found else {} -%}
        {%- do run_query(view_over_files(contract, inputs)) -%}
    {%- endfor -%}
{%- endmacro %}


{% macro view_manifests(store) -%}
    {%- set file = "struct<extract: string, path: string, sha256: string, rows: bigint, reason: string>" -%}
    {%- set lists = ['files', 'supersedes', 'quarantined'] -%}
    {%- set compacted = "struct<at: string>" -%}
    {%- set of_load = ["load: bigint", "id: string", "compacted: " ~ compacted] -%}
    {%- set columns = ["load bigint", "id string", "compacted " ~ compacted] -%}
    {%- set fields = ["'load', load", "'id', id", "'compacted', compacted"] -%}
    {%- for name in lists -%}
        {%- do of_load.append(name ~ ": array<" ~ file ~ ">") -%}
        {%- do columns.append(name ~ " array<" ~ file ~ ">") -%}
        {%- do fields.append("'" ~ name ~ "', " ~ name) -%}
    {%- endfor -%}
    {%- do columns.append("loads array<struct<" ~ of_load | join(', ') ~ ">>") -%}
    {%- do columns.append("replaces array<string>") -%}
    {%- do run_query(
        "create or replace temporary view manifests (" ~ columns | join(', ')
        ~ ") using json options (path " ~ literal(store ~ '/*/manifest.json') ~ ", multiLine 'true')"
    ) -%}
    {%- do run_query(
        "create or replace temporary view pieces as "
        ~ "select regexp_extract(input_file_name(), '([^/]+)/manifest.json$', 1) as folder, "
        ~ "loads is not null as is_merged, replaces, "
        ~ "coalesce(loads, array(named_struct(" ~ fields | join(', ') ~ "))) as held from manifests"
    ) -%}
    {%- do run_query(
        "create or replace temporary view listed_loads as select folder, is_merged, held_load.* from ("
        ~ "select folder, is_merged, explode(held) as held_load from pieces "
        ~ "where folder not in (select explode(replaces) from pieces where replaces is not null)) as kept"
    ) -%}
    {%- do run_query(
        "create or replace temporary view stored_loads as select * from listed_loads "
        ~ "where is_merged or id not in (select id from listed_loads where is_merged)"
    ) -%}
{%- endmacro %}
