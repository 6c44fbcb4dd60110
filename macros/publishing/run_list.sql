{% macro read_published_runs() -%}
    {{ return(adapter.dispatch('read_published_runs')()) }}
{%- endmacro %}

{#- The list is stored with the deliveries (plugins/publishing.py); an older release's list lacks columns. -#}
{% macro duckdb__read_published_runs() -%}
    {%- if execute -%}
        {%- set told, types = deliveries_path() ~ '/runs.json', [] -%}
        {%- for name, type in columns_of_runs().items() -%}
            {%- do types.append(name ~ ": '" ~ type ~ "'") -%}
        {%- endfor -%}
        {%- do replace_state(
            'published_runs',
            "from read_json(" ~ literal(exact_pattern(told)) ~ ", format = 'newline_delimited', columns = {"
                ~ types | join(', ') ~ "})" if is_file(told) else no_runs()
        ) -%}
    {%- endif -%}
{%- endmacro %}

{#- A failed run was never published, and its row has no published_at. Without the table (before the first run, or if a
    run was killed while it replaced the table), the list of the previous run is still valid. -#}
{% macro spark__read_published_runs() -%}
    {%- set runs = load_relation(api.Relation.create(schema=working_schema('publication'), identifier='runs'))
        if execute else none -%}
    {%- if runs -%}
        {%- set there = adapter.get_columns_in_relation(runs) | map(attribute='name') | list -%}
        {%- set columns = [] -%}
        {%- for name, type in columns_of_runs().items() -%}
            {%- do columns.append((name if name in there else "cast(null as " ~ type ~ ")") ~ " as " ~ name) -%}
        {%- endfor -%}
        {%- do run_query("drop table if exists run_state.published_runs") -%}
        {%- do run_query(
            "create table run_state.published_runs as select " ~ columns | join(', ') ~ " from " ~ runs
            ~ " where published_at is not null"
        ) -%}
    {%- elif execute -%}
        {%- do run_query("create table if not exists run_state.published_runs as " ~ no_runs()) -%}
    {%- endif -%}
{%- endmacro %}


{% macro columns_of_runs() -%}
    {%- set columns = {} -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model'
        and node.schema == working_schema('publication') and node.name == 'runs' -%}
        {%- for column in node.columns.values() -%}
            {%- do columns.update({column.name: column.data_type}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}


{% macro no_runs() -%}
    {%- set columns = [] -%}
    {%- for name, type in columns_of_runs().items() -%}
        {%- do columns.append("cast(null as " ~ type ~ ") as " ~ name) -%}
    {%- endfor -%}
    {{ return("select " ~ columns | join(', ') ~ " where false") }}
{%- endmacro %}
