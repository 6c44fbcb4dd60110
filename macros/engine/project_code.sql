{% macro rules_of_jobs() -%}
    {{ return([
        'recipe_types', 'proxy_operations', 'control_keywords', 'call_operations', 'billing_contexts_by_recipe_type',
        'billing_contexts_by_call', 'mcp_assets',
    ]) }}
{%- endmacro %}


{% macro code_digests() -%}
    {{ return(adapter.dispatch('code_digests')()) }}
{%- endmacro %}

{% macro duckdb__code_digests() -%}
    {%- set arguments = literal(project_path()) ~ ", " ~ literal(tojson(rules_of_jobs())) -%}
    {{ return(fromjson(run_query("select code_digests(" ~ arguments ~ ")").columns[0].values()[0])) }}
{%- endmacro %}

{#- Uses dbt's checksums, because Spark has no function that reads the project's files. -#}
{% macro spark__code_digests() -%}
    {%- set checksums = {'facts': [env_var('PROJECT_REVISION', '')], 'jobs': [], 'decisions': []} -%}
    {%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed'] and 'raw_' not in node.name -%}
        {%- set rules = node.name | replace('override_', '') -%}
        {%- set is_of_facts = node.resource_type == 'model' or rules == 'status_words' -%}
        {%- set level = 'facts' if is_of_facts else 'jobs' if rules in rules_of_jobs() else 'decisions' -%}
        {%- do checksums[level].append(node.name ~ node.checksum.checksum) -%}
    {%- endfor -%}
    {%- set digests = {} -%}
    {%- for level, texts in checksums.items() -%}
        {%- do digests.update({level: local_md5(texts | sort | join(' '))}) -%}
    {%- endfor -%}
    {{ return(digests) }}
{%- endmacro %}


{% macro project_revision() -%}
    {{ return(adapter.dispatch('project_revision')()) }}
{%- endmacro %}

{% macro duckdb__project_revision() -%}
    {{ return("nullif(revision_of(" ~ literal(project_path()) ~ "), '')") }}
{%- endmacro %}

{#- The deployment sets PROJECT_REVISION, because Spark has no function that calls git. -#}
{% macro spark__project_revision() -%}
    {{ return("nullif(" ~ literal(env_var('PROJECT_REVISION', '')) ~ ", '')") }}
{%- endmacro %}
