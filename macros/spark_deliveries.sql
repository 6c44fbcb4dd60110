{#- Extracts from files on Spark. Taking files in and converting them is DuckDB's work (dbt run-operation take_in, on the
    default target): Spark reads what is stored below WAREHOUSE_DIR/deliveries, which driver and executors must see. -#}
{% macro spark__view_deliveries(contracts) -%}
    {%- set store = deliveries_path() -%}
    {%- do run_query("create or replace temporary view manifests using json options (path " ~ literal(store ~ '/*/manifest.json') ~ ", multiLine 'true')") -%}
    {%- do run_query(
        "insert overwrite run_state.stored_files select file.extract, load, concat(lpad(load, greatest(6, length(load)), '0'), '/', file.extract, '.parquet'), file.path, "
        ~ row_hash(['load', 'file.path']) ~ " from (select load, explode(files) as file from manifests) as listed"
    ) -%}
    {%- set stored = run_query("select distinct extract_name from run_state.stored_files").columns[0].values() -%}
    {%- for name, contract in contracts.items() -%}
        {%- set input = "(select * from parquet.`" ~ store ~ "/*/" ~ name ~ ".parquet` where " ~ is_new() ~ ") as stored" -%}
        {%- do run_query(view_over_files(contract, input if name in stored else none)) -%}
    {%- endfor -%}
{%- endmacro %}


{#- Each load's rows are kept in the base models: a run that looks at older ones again reads them where they are kept. -#}
{% macro spark__view_changed_deliveries() -%}
{%- endmacro %}
