{% macro project_path(name=none) -%}
    {{ return((invocation_args_dict.project_dir | string) ~ ('/' ~ name if name else '')) }}
{%- endmacro %}


{% macro warehouse_path(name) -%}
    {{ return((env_var('WAREHOUSE_DIR', '') or project_path('warehouse')) ~ '/' ~ name) }}
{%- endmacro %}


{% macro published_path() -%}
    {{ return(warehouse_path('usage.duckdb')) }}
{%- endmacro %}


{% macro is_file(path) -%}
    {{ return(
        run_query("select count(*) from glob(" ~ literal(exact_pattern(path)) ~ ")").columns[0].values()[0] > 0
    ) }}
{%- endmacro %}


{% macro exact_pattern(path) -%}
    {{ return(path | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]')) }}
{%- endmacro %}
