{% macro view_stored_files(contracts, found) -%}
    {%- set statements = [] -%}
    {%- for contract in contracts.values() -%}
        {%- set patterns, inputs = {}, {} -%}
        {%- for path in found.files.get(contract.name, []) | map(attribute=1) | unique | sort -%}
            {%- set lacking = found.lacks.get(path, []) | join(' ') -%}
            {%- do patterns.setdefault(lacking, []).append(literal(exact_pattern(deliveries_path() ~ '/' ~ path))) -%}
        {%- endfor -%}
        {%- for lacking, files in patterns.items() -%}
            {%- set input = "read_parquet([" ~ files | join(', ') ~ "], hive_partitioning = false) as stored" -%}
            {%- do inputs.update({
                lacking: input ~ (without_superseded() if contract.name in found.superseded else ''),
            }) -%}
        {%- endfor -%}
        {%- do statements.append(view_over_files(contract, inputs)) -%}
    {%- endfor -%}
    {%- do run_statements(statements) -%}
{%- endmacro %}


{% macro view_over_files(contract, inputs) -%}
    {%- set selects = [] -%}
    {%- for lacking, input in inputs.items() -%}
        {%- do selects.append(rows_of_files(contract, lacking.split(' '), input)) -%}
    {%- endfor -%}
    {%- if not selects -%}
        {%- set nothing = [] -%}
        {%- for column in contract.columns.values() -%}
            {%- do nothing.append("cast(null as " ~ stored_type(column) ~ ") as " ~ column.name) -%}
        {%- endfor -%}
        {%- do selects.append(
            "select " ~ nothing | join(', ')
            ~ ", cast(null as string) as extra, cast(null as string) as unread_column"
            ~ ", cast(null as bigint) as load_id, cast(null as string) as file_name where false"
        ) -%}
    {%- endif -%}
    {{ return("create or replace view extracts." ~ contract.name ~ " as " ~ selects | join(' union all ')) }}
{%- endmacro %}


{% macro rows_of_files(contract, lacking, input) -%}
    {%- set select, kept_aside, unread = [], [], [] -%}
    {%- for column in contract.columns.values() -%}
        {%- set type = stored_type(column) -%}
        {%- set is_checked = not column.meta.may_be_unreadable -%}
        {%- if column.name in lacking -%}
            {%- set text = without_no_value(column, json_text('extra', column.name)) -%}
            {%- set value = text if type == 'string' else read_text_as(type, text) -%}
            {%- do select.append(value ~ " as " ~ column.name) -%}
            {%- if is_checked -%}
                {%- do kept_aside.append(
                    "when " ~ text ~ " is not null and " ~ value ~ " is null then " ~ literal(column.name)
                ) -%}
            {%- endif -%}
        {%- else -%}
            {%- set value = without_no_value(column, column.name) if type == 'string' else column.name -%}
            {%- do select.append(value ~ " as " ~ column.name) -%}
            {%- if is_checked -%}
                {%- do unread.append(column.name) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set unread_column = first_unread_column(unread) -%}
    {%- if kept_aside -%}
        {%- set unread_column = "coalesce(" ~ unread_column ~ ", case " ~ kept_aside | join(' ') ~ " end)" -%}
    {%- endif -%}
    {{ return(
        "select " ~ select | join(', ') ~ ", extra, " ~ unread_column ~ " as unread_column, load_id, file_name"
        ~ " from " ~ input
    ) }}
{%- endmacro %}


{% macro without_superseded() -%}
    {{ return(
        " where not exists (select 1 from run_state.superseded_files as superseded"
        ~ " where superseded.load_id = stored.load_id and superseded.file_name = stored.file_name)"
    ) }}
{%- endmacro %}


{% macro verify_files(condition) -%}
    {{ return(adapter.dispatch('verify_files')(condition)) }}
{%- endmacro %}

{% macro duckdb__verify_files(condition) -%}
    {%- set paths, others = [], [] -%}
    {%- for path, is_read in run_query(
        "select path, bool_or(" ~ condition ~ ") from run_state.stored_files group by path order by path"
    ).rows -%}
        {%- do (paths if is_read else others).append(path) -%}
    {%- endfor -%}
    {%- set arguments = [literal(deliveries_path()), literal(tojson(paths)), literal(tojson(others))] -%}
    {%- set problem = run_query("select verify_stored_files(" ~ arguments | join(', ') ~ ")").columns[0].values()[0] -%}
    {%- if problem -%}
        {{ exceptions.raise_compiler_error(problem) }}
    {%- endif -%}
{%- endmacro %}

{#- Spark reads each stored file only once, in the run in which its load is new. -#}
{% macro spark__verify_files(condition) -%}
{%- endmacro %}
