{% macro watch_build() -%}
    {{ return(adapter.dispatch('watch_build')()) }}
{%- endmacro %}

{% macro duckdb__watch_build() -%}
    {%- if execute and flags.WHICH in ['build', 'run'] and not is_sample() and var('extracts_schema', none) is none
        and computes_jobs() -%}
        {%- set paths = [] -%}
        {%- set tests = [] -%}
        {%- for id in selected_resources if id in graph.nodes -%}
            {%- set node = graph.nodes[id] -%}
            {%- if node.resource_type in ['model', 'seed'] -%}
                {%- do paths.append(node.original_file_path) -%}
            {%- elif node.resource_type == 'test' -%}
                {%- do tests.append(id) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- do run_query(
            "select watch_build(" ~ literal(tojson(paths)) ~ ", '" ~ tests | length ~ "', '" ~ is_whole_run()
            | lower ~ "')"
        ) -%}
    {%- endif -%}
{%- endmacro %}

{% macro spark__watch_build() -%}
{%- endmacro %}


{% macro computes_jobs() -%}
    {%- set newest_load = run_query(
        "select coalesce(max(load_id), 0) from run_state.stored_files"
    ).columns[0].values()[0] -%}
    {{ return(
        is_recomputed('job') or var('recompute_month') is not none
        or newest_load > last_committed_load()
    ) }}
{%- endmacro %}
