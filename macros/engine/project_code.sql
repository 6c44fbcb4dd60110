{% macro code_digest() -%}
    {{ return(adapter.dispatch('code_digest')()) }}
{%- endmacro %}

{% macro duckdb__code_digest() -%}
    {{ return(run_query("select code_digest(" ~ literal(project_path()) ~ ")").columns[0].values()[0]) }}
{%- endmacro %}

{#- From dbt's own checksums: no function of Spark reads the project's files. -#}
{% macro spark__code_digest() -%}
    {%- set checksums = [env_var('PROJECT_REVISION', '')] -%}
    {%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed'] and 'raw_' not in node.name -%}
        {%- do checksums.append(node.name ~ node.checksum.checksum) -%}
    {%- endfor -%}
    {{ return(local_md5(checksums | sort | join(' '))) }}
{%- endmacro %}


{% macro project_revision() -%}
    {{ return(adapter.dispatch('project_revision')()) }}
{%- endmacro %}

{% macro duckdb__project_revision() -%}
    {{ return("nullif(revision_of(" ~ literal(project_path()) ~ "), '')") }}
{%- endmacro %}

{#- Whoever deploys the project sets it: no function of Spark asks git. -#}
{% macro spark__project_revision() -%}
    {{ return("nullif(" ~ literal(env_var('PROJECT_REVISION', '')) ~ ", '')") }}
{%- endmacro %}
