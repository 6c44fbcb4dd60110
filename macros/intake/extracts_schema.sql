{% macro bring_schema(schema) -%}
    {{ return(adapter.dispatch('bring_schema')(schema)) }}
{%- endmacro %}

{% macro duckdb__bring_schema(schema) -%}
    {%- if is_file(published_path()) -%}
        {%- do run_query("attach " ~ literal(published_path()) ~ " as published (read_only)") -%}
        {%- set tables = run_query(
            "select table_name from duckdb_tables() where database_name = 'published' and schema_name = "
            ~ literal(schema)
        ) -%}
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

{#- Spark reads the schema directly and needs no copy. -#}
{% macro spark__bring_schema(schema) -%}
{%- endmacro %}
