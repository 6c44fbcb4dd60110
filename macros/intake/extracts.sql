{% macro extract(name) -%}
    {%- if not is_sample() -%}
    {{ source('extracts', name) }}
    {%- elif not execute -%}
    {{ ref('raw_' ~ name) }}
    {%- elif name == 'job_history' -%}
    (
        select
            record,
            1 as load_id,
            'raw_job_history.csv' as file_name
        from {{ ref('raw_job_history') }}
    ) as raw_job_history
    {%- else -%}
    ({{ extract_of_texts(name, ref('raw_' ~ name), literal('raw_' ~ name ~ '.csv')) }}) as raw_{{ name }}
    {%- endif -%}
{%- endmacro %}


{#- All columns of the contract are texts in the relation. -#}
{% macro extract_of_texts(name, relation, file_name) -%}
    {%- set types = {} -%}
    {%- for column in extract_contract(name).columns -%}
        {%- do types.update({column: 'STRING'}) -%}
    {%- endfor -%}
    {{ rows_of_table(extract_contract(name), relation, types, file_name) }}
{%- endmacro %}


{% macro is_sample() -%}
    {{ return(
        env_var('EXTRACTS_DIR', '') == '' and var('extracts_schema', none) is none
        and not boolean_option('only_stored_deliveries')
    ) }}
{%- endmacro %}


{% macro extract_contract(name) -%}
    {{ return(
        graph.sources.values()
        | selectattr('source_name', 'equalto', 'extracts') | selectattr('name', 'equalto', name)
        | first
    ) }}
{%- endmacro %}


{% macro contracts_of_extracts() -%}
    {%- set contracts = {} -%}
    {%- for node in graph.sources.values() if node.source_name == 'extracts' -%}
        {%- do contracts.update({node.name: node}) -%}
    {%- endfor -%}
    {{ return(contracts) }}
{%- endmacro %}


{% macro prepare_extracts() -%}
    {%- if execute and is_sample() and flags.WHICH in ['build', 'run', 'seed'] -%}
        {%- if env_var('JOB_HISTORY_DIR', '') -%}
            {{ exceptions.raise_compiler_error(
                "JOB_HISTORY_DIR is set, and EXTRACTS_DIR is not: set the folder of the other extracts, too."
            ) }}
        {%- endif -%}
        {%- do keep_sample_from_deliveries() -%}
    {%- endif -%}
    {%- if execute and not is_sample() -%}
        {%- if env_var('EXTRACTS_DIR', '') and var('extracts_schema', none) is not none -%}
            {{ exceptions.raise_compiler_error("Both EXTRACTS_DIR and the var extracts_schema are set: unset one.") }}
        {%- endif -%}
        {%- set contracts = contracts_of_extracts() -%}
        {#- remove sample data: real data follows -#}
        {%- do run_statements([
            "drop schema if exists " ~ working_schema('sample') ~ " cascade",
            "drop schema if exists extracts cascade",
            "create schema extracts",
        ]) -%}
        {%- if var('extracts_schema', none) is not none -%}
            {%- do view_tables(var('extracts_schema'), contracts) -%}
        {%- else -%}
            {%- do view_deliveries(contracts) -%}
            {%- if not is_whole_run() and is_credibility_changed() -%}
                {%- do compute_everything("new files change which extracted_at are confirmed") -%}
                {%- do view_deliveries(contracts) -%}
            {%- endif -%}
            {%- do note_whether_there_is_news() -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro keep_sample_from_deliveries() -%}
    {%- set manifests = literal(exact_pattern(deliveries_path()) ~ '/*/manifest.json') -%}
    {%- if target.type == 'duckdb'
        and run_query("select count(*) from glob(" ~ manifests ~ ")").columns[0].values()[0] -%}
        {{ exceptions.raise_compiler_error(
            "EXTRACTS_DIR is not set, and " ~ deliveries_path() ~ " contains deliveries of your own: "
            ~ "the sample would replace their figures. Set EXTRACTS_DIR; for the sample, set another WAREHOUSE_DIR; "
            ~ "to compute from the stored deliveries, pass --vars '{only_stored_deliveries: true}'."
        ) }}
    {%- endif -%}
{%- endmacro %}
