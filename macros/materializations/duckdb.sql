{#- Decision: docs/decisions/custom-materializations.md -#}

{#- The build's database has no readers during a run, so one statement in one transaction replaces a table or view in
    place. dbt-duckdb's own materializations create a second relation, rename both and drop the old one, which takes a
    tenth of a small run. Contracts are checked in the same way; write_comments() writes the comments. -#}
{% materialization table, adapter='duckdb' -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- if keeps_rows(load_cached_relation(this)) -%}
        {%- call noop_statement('main', 'KEPT', 'KEPT', 0) -%}{%- endcall -%}
    {%- else -%}
        {%- do drop_other_kind(target_relation) -%}
        {%- call statement('main') -%}
            {{ replace_table_as(target_relation, compiled_code) }}
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{% materialization view, adapter='duckdb' -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks) }}
    {%- do drop_other_kind(target_relation) -%}
    {%- call statement('main') -%}
        {{ duckdb__create_view_as(target_relation, compiled_code)
            | replace('create view', 'create or replace view', 1) }}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{#- The strategies replace_scope and append, in the transaction that also computes the new rows. A model's columns only
    change with its code, which recomputes everything. If a table has other columns, the statement fails. -#}
{% materialization incremental, adapter='duckdb' -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing_relation = load_cached_relation(this) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if keeps_rows(existing_relation) -%}
        {%- call noop_statement('main', 'KEPT', 'KEPT', 0) -%}{%- endcall -%}
    {%- elif existing_relation is none or not existing_relation.is_table or replaces_all() -%}
        {%- do drop_other_kind(target_relation) -%}
        {%- call statement('main') -%}
            {{ replace_table_as(target_relation, compiled_code) }}
        {%- endcall -%}
    {%- else -%}
        {%- set new_rows = api.Relation.create(identifier=this.identifier ~ '__new', type='table') -%}
        {%- if config.get('contract').enforced -%}
            {{ get_assert_columns_equivalent(compiled_code) }}
            {%- set columns = model.columns.values() | list -%}
        {%- else -%}
            {%- set columns = adapter.get_columns_in_relation(existing_relation) -%}
        {%- endif -%}
        {%- set strategy = adapter.get_incremental_strategy_macro(context, config.get('incremental_strategy')) -%}
        {%- set scope = in_scope() -%}
        {%- call statement('main') -%}
            create or replace temporary table {{ new_rows }} as (
                {{ rows_in_scope(compiled_code, scope) }}
            );
            {{ (strategy({
                'target_relation': existing_relation, 'temp_relation': new_rows, 'dest_columns': columns, 'scope': scope
            }) | trim).rstrip(';') }};
            drop table {{ new_rows }};
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{% macro replace_table_as(relation, query) -%}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(query) }}
        create or replace table {{ relation }} {{ get_table_columns_and_constraints() }};
        insert into {{ relation }} {{ get_column_names() }} (
            {{ get_select_subquery(query) }}
        );
    {%- else -%}
        create or replace table {{ relation }} as (
            {{ query }}
        );
    {%- endif -%}
{%- endmacro %}


{% macro drop_other_kind(relation) -%}
    {%- set existing = load_cached_relation(relation) -%}
    {%- if existing is not none and existing.type != relation.type -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
{%- endmacro %}


{#- Loads the seed's file with DuckDB's own reader. Every column must have a type in column_types. -#}
{% materialization seed, adapter='duckdb' -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set file = "read_csv(" ~ literal(adapter.get_seed_file_path(model))
        ~ ", header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"')" -%}
    {{ run_hooks(pre_hooks) }}
    {%- do drop_other_kind(target_relation) -%}
    {%- set types = config.get('column_types', {}) -%}
    {%- set columns = [] -%}
    {%- set header = run_query("describe from " ~ file) -%}
    {#- dbt requires a result table; only dbt seed --show prints it -#}
    {%- do store_result('agate_table', response='OK', agate_table=header) -%}
    {%- for name in header.columns[0].values() -%}
        {%- if name not in types -%}
            {{ exceptions.raise_compiler_error(
                "The seed " ~ model.name ~ " has a column " ~ name ~ " without a type: add it to column_types."
            ) }}
        {%- endif -%}
        {%- do columns.append("cast(" ~ adapter.quote(name) ~ " as " ~ types[name] ~ ") as " ~ adapter.quote(name)) -%}
    {%- endfor -%}
    {%- call statement('main') -%}
        create or replace table {{ target_relation }} as select {{ columns | join(', ') }} from {{ file }}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}
