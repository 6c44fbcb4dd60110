{% macro view_tables(schema, contracts) -%}
    {%- do bring_schema(schema) -%}
    {%- set tables = columns_of_tables(schema) -%}
    {%- if not tables -%}
        {{ exceptions.raise_compiler_error(
            "The schema " ~ schema ~ " (var extracts_schema) has no tables in the warehouse."
        ) }}
    {%- endif -%}
    {%- for name, contract in contracts.items() -%}
        {%- set table = [name, 'raw_' ~ name] | select('in', tables) | first -%}
        {%- if table -%}
            {%- for column in required_columns(contract) if column not in tables[table] -%}
                {{ exceptions.raise_compiler_error(
                    "The table " ~ schema ~ "." ~ table ~ " lacks the required column " ~ column ~ "."
                ) }}
            {%- endfor -%}
            {%- set relation = adapter.quote(schema) ~ "." ~ adapter.quote(table) -%}
            {%- do run_query(view_over_table(contract, relation, literal(schema ~ '.' ~ table))) -%}
        {%- else -%}
            {%- set streamed = name in ('jobs', 'steps')
                and ('job_history' in tables or 'raw_job_history' in tables) -%}
            {%- if contract.meta.required and not streamed -%}
                {{ exceptions.raise_compiler_error(
                    "The schema " ~ schema ~ " lacks the required table " ~ name ~ " (or raw_" ~ name ~ ")."
                ) }}
            {%- endif -%}
            {%- do run_query(view_over_files(contract, {})) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}


{% macro columns_of_tables(schema) -%}
    {{ return(adapter.dispatch('columns_of_tables')(schema)) }}
{%- endmacro %}

{% macro duckdb__columns_of_tables(schema) -%}
    {%- set tables = {} -%}
    {%- for row in run_query(
        "select table_name, column_name from information_schema.columns "
        ~ "where table_catalog = current_database() and table_schema = " ~ literal(schema)
    ).rows -%}
        {%- do tables.setdefault(row[0], []).append(row[1] | lower) -%}
    {%- endfor -%}
    {{ return(tables) }}
{%- endmacro %}

{% macro spark__columns_of_tables(schema) -%}
    {%- set tables = {} -%}
    {%- if run_query("show schemas like " ~ literal(schema)).rows -%}
        {%- for row in run_query("show tables in " ~ schema).rows if row[0] == schema -%}
            {%- set columns = adapter.get_columns_in_relation(
                api.Relation.create(schema=schema, identifier=row[1])
            ) -%}
            {%- do tables.update({row[1]: columns | map(attribute='name') | map('lower') | list}) -%}
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


{% macro view_over_table(contract, table, file_name) -%}
    {%- set types = {} -%}
    {%- for row in run_query("describe select * from " ~ table).rows -%}
        {%- set type = row[1] | upper -%}
        {%- do types.update({(row[0] | lower): 'STRING' if type in ['VARCHAR', 'STRING'] else type}) -%}
    {%- endfor -%}
    {%- if contract.name == 'job_history' and 'record' not in types -%}
        {#- streamed jobs with fields as columns: compose the JSON object again -#}
        {%- set table = "(select *, " ~ whole_row_as_json('streamed') ~ " as record from " ~ table
            ~ " as streamed) as records" -%}
        {%- do types.update({'record': 'STRING'}) -%}
    {%- endif -%}
    {{ return(
        "create or replace view extracts." ~ contract.name ~ " as "
        ~ rows_of_table(contract, table, types, file_name)
    ) }}
{%- endmacro %}


{% macro rows_of_table(contract, table, types, file_name) -%}
    {%- set texts, select, unread, kept = [], [], [], {} -%}
    {%- for column in contract.columns.values() -%}
        {%- set is_text = stored_type(column) == 'string' -%}
        {%- if column.name not in types -%}
            {%- do select.append("cast(null as " ~ stored_type(column) ~ ") as " ~ column.name) -%}
        {%- else -%}
            {%- set is_typed = not is_text and types[column.name] not in ['STRING', 'BLOB', 'BINARY'] -%}
            {%- set text = column.name if types[column.name] == 'STRING' else to_text(column.name) -%}
            {%- set read = column.name if is_text
                else (read_as if is_typed else read_text_as)(column.data_type, column.name) -%}
            {%- do texts.append(column.name if is_typed else without_no_value(column, text) ~ " as " ~ column.name) -%}
            {%- do select.append(read ~ " as " ~ column.name) -%}
            {%- if not is_text -%}
                {%- do kept.update({column.name: column.name}) -%}
                {%- if not column.meta.may_be_unreadable -%}
                    {%- do unread.append(
                        "when " ~ column.name ~ " is not null and " ~ read ~ " is null then " ~ literal(column.name)
                    ) -%}
                {%- endif -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set unread_column = "case " ~ unread | join(' ') ~ " end" if unread else "cast(null as string)" -%}
    select
        {{ select | join(', ') }},
        {{ row_as_json(kept) if kept else 'cast(null as string)' }} as extra,
        {{ unread_column }} as unread_column,
        cast(1 as bigint) as load_id,
        {{ file_name }} as file_name
    from (select {{ texts | join(', ') }} from {{ table }}) as texts
{%- endmacro %}
