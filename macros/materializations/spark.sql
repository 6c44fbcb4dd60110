{#- Replacements of what the Spark adapter does differently from what this project needs. -#}

{#- Seeds: the adapter's own macro writes an empty value as the text None, and fails on quotes. -#}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- for chunk in agate_table.rows | batch(1000) -%}
        {%- set rows = [] -%}
        {%- for row in chunk -%}
            {%- set values = [] -%}
            {%- for value in row -%}
                {%- do values.append('null' if value is none else literal(value)) -%}
            {%- endfor -%}
            {%- do rows.append('(' ~ values | join(', ') ~ ')') -%}
        {%- endfor -%}
        {%- set columns = [] -%}
        {%- for name in agate_table.column_names -%}
            {%- do columns.append('cast(' ~ adapter.quote(name) ~ ' as ' ~ types.get(name, 'string') ~ ')') -%}
        {%- endfor -%}
        {%- do run_query(
            'insert into ' ~ this ~ ' select ' ~ columns | join(', ')
            ~ ' from values ' ~ rows | join(', ') ~ ' as seed (' ~ get_quoted_csv(agate_table.column_names) ~ ')'
        ) -%}
    {%- endfor -%}
    {{ return('') }}
{%- endmacro %}


{#- Contracts: an unsigned integer is a signed one on Spark. -#}
{% macro spark__get_empty_schema_sql(columns) -%}
    select
    {%- for column in columns.values() %}
        cast(
            null as {{ hash_type() if column['data_type'] == duckdb__hash_type() else column['data_type'] }}
        ) as {{ column['name'] }}{{ ', ' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#- The adapter's own, which also keeps the table of a run without news. -#}
{% materialization table, adapter='spark' -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing_relation = load_relation(this) -%}

    {{ run_hooks(pre_hooks) }}

    {%- if keeps_rows(existing_relation) -%}
        {%- call noop_statement('main', 'KEPT', 'KEPT', 0) -%}{%- endcall -%}
    {%- else -%}
        {%- if existing_relation is not none -%}
            {%- do adapter.drop_relation(existing_relation) -%}
        {%- endif -%}
        {%- call statement('main') -%}
            {{ create_table_as(false, target_relation, compiled_code) }}
        {%- endcall -%}
        {%- do persist_docs(target_relation, model) -%}
    {%- endif -%}

    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{#- The same strategies. Files are never changed in place: each partition that loses or gets rows is rewritten from kept
    and new rows; a table without partitions is rewritten completely. -#}
{% materialization incremental, adapter='spark' -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing_relation = load_relation(this) -%}

    {{ run_hooks(pre_hooks) }}

    {%- if keeps_rows(existing_relation) -%}
        {%- call noop_statement('main', 'KEPT', 'KEPT', 0) -%}{%- endcall -%}
    {%- elif existing_relation is none or replaces_all() -%}
        {%- if existing_relation is none and not replaces_all() -%}
            {{ exceptions.raise_compiler_error(this ~ " is missing: run once with --full-refresh.") }}
        {%- endif -%}
        {%- do adapter.drop_relation(target_relation) -%}
        {%- call statement('main') -%}
            {{ create_table_as(false, target_relation, compiled_code) }}
        {%- endcall -%}
    {%- else -%}
        {%- set new_rows = this.incorporate(path={'identifier': this.identifier ~ '__new'}, type='table') -%}
        {%- do adapter.drop_relation(new_rows) -%}
        {%- set scope = in_scope() -%}
        {%- call statement('main') -%}
            create table {{ new_rows }} as {{ rows_in_scope(compiled_code, scope) }}
        {%- endcall -%}
        {%- do replace_partitions(target_relation, new_rows, scope) -%}
        {%- do adapter.drop_relation(new_rows) -%}
    {%- endif -%}

    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{% macro replace_partitions(target_relation, new_rows, scope) -%}
    {%- set columns = adapter.get_columns_in_relation(target_relation) | map(attribute='quoted') | join(', ') -%}
    {%- set added = "select " ~ columns ~ " from " ~ new_rows -%}
    {%- set key = config.get('partition_by') -%}
    {%- if not scope -%}
        {%- do run_query("insert into " ~ target_relation ~ " " ~ added) -%}
    {%- else -%}
        {%- set goes = "coalesce(" ~ scope ~ ", false)" -%}
        {%- set kept = "select " ~ columns ~ " from " ~ target_relation ~ " where not " ~ goes -%}
        {%- if key -%}
            {%- set changed = run_query(
                "select part, count_if(stays) from ("
                ~ "select " ~ key ~ " as part, not " ~ goes ~ " as stays from " ~ target_relation
                ~ " union all select " ~ key ~ " as part, true as stays from " ~ new_rows
                ~ ") as parts where part in (select " ~ key ~ " from " ~ new_rows ~ ")"
                ~ " or part in (select " ~ key ~ " from " ~ target_relation ~ " where " ~ goes ~ ")"
                ~ " or part is null group by part"
            ).rows -%}
            {%- set emptied, values = [], [] -%}
            {%- for part in changed if part[0] is not none -%}
                {%- do values.append(literal(part[0])) -%}
            {%- endfor -%}
            {%- set is_changed = "(" ~ key ~ " is null"
                ~ (" or " ~ key ~ " in (" ~ values | join(', ') ~ ")" if values else "") ~ ")" -%}
            {%- do run_query(
                "insert overwrite table " ~ target_relation ~ " partition (" ~ key ~ ") " ~ kept ~ " and "
                ~ is_changed ~ " union all " ~ added
            ) -%}
            {%- for part in changed if part[1] == 0 -%}
                {%- do emptied.append(
                    "partition (" ~ key ~ " = " ~ ('null' if part[0] is none else literal(part[0])) ~ ")"
                ) -%}
            {%- endfor -%}
            {%- if emptied -%}
                {%- do run_query("alter table " ~ target_relation ~ " drop if exists " ~ emptied | join(', ')) -%}
            {%- endif -%}
        {%- else -%}
            {%- set whole = target_relation.incorporate(
                path={'identifier': target_relation.identifier ~ '__whole'}, type='table'
            ) -%}
            {%- do adapter.drop_relation(whole) -%}
            {%- do run_query("create table " ~ whole ~ " as " ~ kept ~ " union all " ~ added) -%}
            {%- do adapter.drop_relation(target_relation) -%}
            {%- do adapter.rename_relation(whole, target_relation) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- Parquet tables have no constraints. DuckDB enforces them; data tests check the same on both engines. -#}
{% macro spark__persist_constraints(relation, model) -%}
{%- endmacro %}
