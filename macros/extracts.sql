{#- Reading extracts: where a run's rows come from. The contract of each extract is the source `extracts` in
    models/_sources/_extracts.yml: its columns, their types, and which of them must be there. -#}

{#- The relation that holds an extract's rows as they were delivered: the sample seed, or the view that prepare_extracts() laid
    over files or tables. It has the contract's columns by their types, and extra, unread_column, load_id and file_name. -#}
{% macro extract(name) -%}
    {%- if not is_sample() -%}
    {{ source('extracts', name) }}
    {%- elif not execute -%}
    {{ ref('raw_' ~ name) }}
    {%- elif name == 'job_history' -%}
    (select record, 1 as load_id, 'raw_job_history.csv' as file_name from {{ ref('raw_job_history') }}) as raw_job_history
    {%- else -%}
    {%- set texts = {} -%}
    {%- for column in extract_contract(name).columns -%}
        {%- do texts.update({column: 'STRING'}) -%}
    {%- endfor -%}
    ({{ rows_of_table(extract_contract(name), ref('raw_' ~ name), texts, literal('raw_' ~ name ~ '.csv')) }}) as raw_{{ name }}
    {%- endif -%}
{%- endmacro %}


{% macro is_sample() -%}
    {{ return(env_var('EXTRACTS_DIR', '') == '' and var('extracts_schema', none) is none and not boolean_option('only_stored_deliveries')) }}
{%- endmacro %}


{#- The contract of one extract, a source of dbt's graph; none while dbt only parses. -#}
{% macro extract_contract(name) -%}
    {{ return(graph.sources.values() | selectattr('source_name', 'equalto', 'extracts') | selectattr('name', 'equalto', name) | first) }}
{%- endmacro %}


{#- Why a row of the extract can't be used, or null: the first column, in the contract's order, that is missing,
    unreadable (unread_column), or a word that the contract doesn't know; or an extracted_at far after those of all other
    files (base_credible_times). The model has words and dates as the contract has them in columns read_<name>, null where they
    can't be read. -#}
{% macro quarantine_reason(name) -%}
    {%- set base_credible_times = ref('base_credible_times') -%}
    case
    {%- if execute %}
    {%- for column in extract_contract(name).columns.values() %}
    {%- set terms = column.meta %}
    {%- if not terms.may_be_unreadable %}
        when unread_column = '{{ column.name }}' then 'unreadable {{ column.name }}'
    {%- endif %}
    {%- if terms.required and not terms.may_be_empty %}
        when {{ column.name }} is null then 'missing {{ column.name }}'
    {%- endif %}
    {%- if terms.is_status %}
        when {{ column.name }} is not null and read_{{ column.name }} is null then 'unknown {{ column.name }}'
    {%- elif terms.accepted_values %}
        when read_{{ column.name }} not in ('{{ terms.accepted_values | join("', '") }}') then 'unknown {{ column.name }}'
    {%- elif column.data_type == 'date' %}
        when {{ column.name }} is not null and read_{{ column.name }} is null then 'unreadable {{ column.name }}'
    {%- endif %}
    {%- if terms.is_count %}
        when {{ column.name }} < 0 then 'negative {{ column.name }}'
    {%- endif %}
    {%- endfor %}
    {%- if 'extracted_at' in extract_contract(name).columns %}
        when extracted_at > (select base_credible_times.credible_until from {{ base_credible_times }} as base_credible_times)
            then 'unconfirmed extracted_at'
    {%- endif %}
    {%- endif %}
    end
{%- endmacro %}


{#- The jobs of streamed files, as JSON texts: a file is the job itself, or wraps it, or a list of them, in logEntries. Rows
    of load_id, file_name and entry. -#}
{% macro streamed_entries(relation) -%}
    with

    unwrapped as (

        select
            load_id,
            file_name,
            record,
            case when {{ is_json('record') }} then coalesce({{ json_text('record', 'logEntries') }}, record) end as payload

        from {{ relation }}

    ),

    listed as (

        {{ json_elements('unwrapped', 'payload', ['load_id', 'file_name']) }}

    )

    select
        load_id,
        file_name,
        element as entry
    from listed

    union all

    select
        load_id,
        file_name,
        coalesce(payload, record) as entry
    from unwrapped
    where not {{ is_json_array('payload') }}
{%- endmacro %}


{#- The rows of a relation whose columns are texts, as those of extract(name): the contract's columns by their types, unread_column,
    load_id and file_name. ``typed``: columns that have the contract's type already; ``keep``: more columns of the relation. -#}
{% macro rows_of_texts(name, relation, typed=[], keep=[]) -%}
    {%- set inner, outer, marks = [], [], [] -%}
    {%- for column in (extract_contract(name).columns.values() if execute else []) -%}
        {%- if stored_type(column) == 'string' or column.name in typed -%}
            {%- do inner.append(column.name) -%}
        {%- else -%}
            {%- do inner.append(column.name ~ " as text_" ~ column.name) -%}
            {%- do inner.append(read_text_as(column.data_type, column.name) ~ " as " ~ column.name) -%}
            {%- if not column.meta.may_be_unreadable -%}
                {%- do marks.append("when " ~ column.name ~ " is null and text_" ~ column.name ~ " is not null then " ~ literal(column.name)) -%}
            {%- endif -%}
        {%- endif -%}
        {%- do outer.append(column.name) -%}
    {%- endfor %}
    select
        {% for column in outer -%}
            {{ column }},
        {% endfor -%}
        cast(null as string) as extra,
        {{ "case " ~ marks | join(' ') ~ " end" if marks else "cast(null as string)" }} as unread_column,
        {% for column in ['load_id', 'file_name'] + keep -%}
            {{ column }}{{ ', ' if not loop.last }}
        {%- endfor %}
    from (select {{ (inner + ['load_id', 'file_name'] + keep) | join(', ') }} from {{ relation }}) as read_texts
{%- endmacro %}


{#- An error's text, or null where it says that there was none: an empty object or list, or false. -#}
{% macro error_text(column) -%}
    case when length({{ column }}) > 16 or lower(trim({{ column }})) not in ('{}', '[]', 'false') then {{ column }} end
{%- endmacro %}


{#- The delivered row as JSON text, for the quarantine: each value as text, as it came where it could not be read. -#}
{% macro row_content(name) -%}
    {%- if execute -%}
    {%- set values = {} -%}
    {%- for column in extract_contract(name).columns -%}
        {%- do values.update({column: "coalesce(cast(" ~ column ~ " as string), " ~ json_text('extra', column) ~ ")"}) -%}
    {%- endfor -%}
    {{ row_as_json(values) }}
    {%- else -%}
    null
    {%- endif -%}
{%- endmacro %}


{#- Run hook. Lays a view over the files or tables of each extract, with the contract's columns whatever the files
    hold, before any model runs. Stops the run when an extract can't be read, naming folder, file and column. -#}
{% macro prepare_extracts() -%}
    {%- if execute and is_sample() and flags.WHICH in ['build', 'run', 'seed'] -%}
        {%- do keep_sample_from_deliveries() -%}
    {%- endif -%}
    {%- if execute and not is_sample() -%}
        {%- if env_var('EXTRACTS_DIR', '') and var('extracts_schema', none) is not none -%}
            {{ exceptions.raise_compiler_error("Both EXTRACTS_DIR and the var extracts_schema are set: unset one.") }}
        {%- endif -%}
        {%- set contracts = contracts_of_extracts() -%}
        {#- no sample data beside real data -#}
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
                {%- do compute_everything("what other files say confirms an extracted_at, or no longer does") -%}
                {%- do view_deliveries(contracts) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- A scheduler that loses EXTRACTS_DIR must not publish the sample over a partner's figures. -#}
{% macro keep_sample_from_deliveries() -%}
    {%- if target.type == 'duckdb' and run_query("select count(*) from glob(" ~ literal(exact_pattern(deliveries_path()) ~ '/*/manifest.json') ~ ")").columns[0].values()[0] -%}
        {{ exceptions.raise_compiler_error(
            "EXTRACTS_DIR is not set, and " ~ deliveries_path() ~ " holds deliveries of your own: the sample is not built over them. "
            ~ "Set EXTRACTS_DIR; for the sample, name another WAREHOUSE_DIR; to compute from what is stored, pass --vars '{only_stored_deliveries: true}'."
        ) }}
    {%- endif -%}
{%- endmacro %}


{% macro view_deliveries(contracts) -%}
    {{ return(adapter.dispatch('view_deliveries')(contracts)) }}
{%- endmacro %}

{#- Stores what is new under EXTRACTS_DIR, and lays the views over stored files. -#}
{% macro duckdb__view_deliveries(contracts) -%}
    {%- set folder = env_var('EXTRACTS_DIR') if flags.WHICH in ['build', 'run'] and not boolean_option('only_stored_deliveries') else '' -%}
    {%- set settled = {} -%}
    {%- for row in run_query("select load_id, identity from run_state.committed_loads").rows -%}
        {%- do settled.update({row[1]: row[0] | int}) -%}
    {%- endfor -%}
    {%- set found = take_in_files(folder, contracts, settled) -%}
    {%- do compare_loads(found.loads, settled) -%}
    {%- do compare_superseded(found.superseded) -%}
    {%- do say_quarantined(found.quarantined) -%}
    {%- set statements = [] -%}
    {%- for table in ['stored_files', 'stored_loads', 'superseded_files', 'quarantined_files'] -%}
        {%- do statements.append("truncate table run_state." ~ table) -%}
    {%- endfor -%}
    {%- for number, identity in found.loads.items() -%}
        {%- do statements.append("insert into run_state.stored_loads values (" ~ number ~ ", " ~ literal(identity) ~ ")") -%}
    {%- endfor -%}
    {%- for name, files in found.files.items() -%}
        {%- set rows = [] -%}
        {%- for file in files -%}
            {%- do rows.append("(" ~ [literal(name), file[0], literal(file[1]), literal(file[2])] | join(', ') ~ ")") -%}
        {%- endfor -%}
        {%- do statements.append("insert into run_state.stored_files values " ~ rows | join(', ')) -%}
    {%- endfor -%}
    {%- for name, files in found.superseded.items() -%}
        {%- for load, path, rows in files -%}
            {%- do statements.append("insert into run_state.superseded_files values (" ~ [literal(name), load, literal(path), rows] | join(', ') ~ ")") -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for name, load, path, reason, is_replaced in found.quarantined -%}
        {%- do statements.append("insert into run_state.quarantined_files values (" ~ [literal(name), load, literal(path), literal(reason), is_replaced] | join(', ') ~ ")") -%}
    {%- endfor -%}
    {%- do run_statements(statements) -%}
    {%- if flags.WHICH in ['build', 'run'] -%}
        {%- set run = this_run() -%}
        {%- do run.update({'files_read': tojson({'folder': found.folder, 'by_extract': found.by_extract, 'ignored': found.ignored})}) -%}
        {%- do note_this_run(run) -%}
        {%- set by_load = contracts.values() | selectattr('meta.is_read_by_load') | map(attribute='name') | join("', '") -%}
        {%- do verify_files(is_new_load() ~ " or extract_name not in ('" ~ by_load ~ "')") -%}
    {%- endif -%}
    {%- do view_stored_files(contracts, found) -%}
{%- endmacro %}


{#- Stores what is new in a folder ('' looks for nothing new) and returns what is stored, as plugins/deliveries.py has it.
    ``settled``: the loads that the warehouse was computed from, {id: number}. Stops the run where that can't be. -#}
{% macro take_in_files(folder, contracts, settled={}) -%}
    {%- set terms = intake_terms(contracts) -%}
    {%- do terms.update({
        'settled': settled, 'is_whole': is_whole_run(), 'settling_seconds': var('settling_seconds') | float,
        'quarantine_files': boolean_option('quarantine_files'),
        'limits': {
            'null_marks': var('null_marks'), 'least_rows': var('unreadable_least_rows') | int,
            'fail_share': var('unreadable_fail_share') | float, 'warn_share': var('unreadable_warn_share') | float,
        },
    }) -%}
    {%- set answer = run_query("select ingest_deliveries(" ~ literal(folder) ~ ", " ~ literal(deliveries_path()) ~ ", " ~ literal(tojson(terms)) ~ ")") -%}
    {%- set found = fromjson(answer.columns[0].values()[0]) -%}
    {%- if found.problem -%}
        {{ exceptions.raise_compiler_error(found.problem) }}
    {%- endif -%}
    {%- for path in found.ignored -%}
        {%- do log("Ignored, neither an extract's folder nor a file of a known format: " ~ path, info=True) -%}
    {%- endfor -%}
    {%- for text in found.to_look_at -%}
        {%- do exceptions.warn(text) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The warehouse was computed from loads that are all there, or everything is computed anew: after a restore a load may be
    one of the older ones by its number, and yet never have been seen. -#}
{% macro compare_loads(stored, settled) -%}
    {%- if not is_whole_run() -%}
        {%- set strange = [] -%}
        {%- for number, identity in stored.items() if number | int <= last_committed_load() and identity not in settled -%}
            {%- do strange.append(number) -%}
        {%- endfor -%}
        {%- set lost = settled.keys() | reject('in', stored.values()) | list -%}
        {%- if strange -%}
            {%- do compute_everything("the warehouse does not know load " ~ strange | join(', ') ~ " of " ~ deliveries_path()) -%}
        {%- elif lost -%}
            {%- do compute_everything(deliveries_path() ~ " lacks " ~ lost | length ~ " loads that the warehouse was computed from") -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- Where a file that the warehouse was computed from is continued by a new one, its rows no longer count. -#}
{% macro compare_superseded(superseded) -%}
    {%- if not is_whole_run() -%}
        {%- set known = run_query("select load_id || ' ' || file_name from run_state.superseded_files").columns[0].values() -%}
        {%- set continued = [] -%}
        {%- for load, path, rows in superseded.values() | sum(start=[]) if load <= last_committed_load() and load ~ ' ' ~ path not in known -%}
            {%- do continued.append(path) -%}
        {%- endfor -%}
        {%- if continued -%}
            {%- do compute_everything(continued | first ~ (" and " ~ (continued | length - 1) ~ " more" if continued | length > 1 else "") ~ " was stored once as far as it was written, and has grown") -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- A warning about files that were set aside, but those of which other bytes came since. -#}
{% macro say_quarantined(quarantined) -%}
    {%- set waiting = quarantined | rejectattr(4) | list -%}
    {%- if waiting -%}
        {%- do exceptions.warn(
            waiting | length ~ (" file is" if waiting | length == 1 else " files are") ~ " set aside, and no row of them counts (audit.quarantined_files). The first, of load "
            ~ waiting[0][1] ~ ": " ~ waiting[0][2] ~ ". " ~ waiting[0][3] ~ " A run that computes everything tries them again; make forget-load removes a load for good."
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#- dbt run-operation take_in: stores what is new under EXTRACTS_DIR and computes nothing. Before a run on Spark. -#}
{% macro take_in() -%}
    {%- if not env_var('EXTRACTS_DIR', '') -%}
        {{ exceptions.raise_compiler_error("EXTRACTS_DIR names no folder to take files in from.") }}
    {%- endif -%}
    {%- do say_quarantined(take_in_files(env_var('EXTRACTS_DIR'), contracts_of_extracts()).quarantined) -%}
{%- endmacro %}


{#- The contracts by the extracts' names. -#}
{% macro contracts_of_extracts() -%}
    {%- set contracts = {} -%}
    {%- for node in graph.sources.values() if node.source_name == 'extracts' -%}
        {%- do contracts.update({node.name: node}) -%}
    {%- endfor -%}
    {{ return(contracts) }}
{%- endmacro %}


{#- What taking files in needs to know: each extract's columns by the kind of their values, and how a value is read as each
    kind, as SQL over {value} (plugins/conversion.py). -#}
{% macro intake_terms(contracts) -%}
    {%- set terms = {'extracts': {}, 'types': {'string': {'as': 'varchar', 'read': to_text('{value}')}}} -%}
    {%- set status_words = run_query("select raw_status from read_csv(" ~ literal(exact_pattern(project_path('seeds/rules/status_words.csv'))) ~ ", header = true, all_varchar = true) order by all").columns[0].values() -%}
    {%- for name, contract in contracts.items() -%}
        {%- set columns = [] -%}
        {%- for column in contract.columns.values() -%}
            {%- set kind = stored_type(column) -%}
            {%- do columns.append([
                column.name, kind, column.meta.required or false, column.meta.may_be_unreadable or false,
                (column.meta.required and not column.meta.may_be_empty) or false, cannot_be(column, status_words),
            ]) -%}
            {%- if kind not in terms.types -%}
                {%- do terms.types.update({kind: {'as': kind, 'read': read_as(kind, '{value}')}}) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- do terms.extracts.update({name: {'required': contract.meta.required or false, 'columns': columns}}) -%}
    {%- endfor -%}
    {{ return(terms) }}
{%- endmacro %}


{#- SQL over the stored {value} of a column: whether no row can be used with it, as quarantine_reason() has it. null: any value
    that could be read can be. -#}
{% macro cannot_be(column, status_words) -%}
    {%- set words = status_words if column.meta.is_status else column.meta.accepted_values -%}
    {%- if words -%}
        {{ return("lower({value}) not in ('" ~ words | join("', '") ~ "')") }}
    {%- elif column.data_type == 'date' -%}
        {{ return("{value} is not null and (" ~ to_date('{value}') ~ ") is null") }}
    {%- elif column.meta.is_count -%}
        {{ return("{value} < 0") }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}


{#- The type of a column in stored files. Dates stay texts: which day a time is, the reporting time zone says, a var. -#}
{% macro stored_type(column) -%}
    {{ return('string' if column.data_type == 'date' else column.data_type) }}
{%- endmacro %}


{#- A text column of an extract without what means "no value" in it: in free text only the empty text does, since a customer may
    be called Null. -#}
{% macro without_no_value(column, text) -%}
    {{ return("nullif(" ~ text ~ ", '')" if column.meta.is_free_text else without_null_mark(text)) }}
{%- endmacro %}


{#- A value as a type of the contract; null where it can't be read. -#}
{% macro read_as(type, value) -%}
    {{ return(to_utc(value) if type == 'timestamp' else read_text_as(type, value)) }}
{%- endmacro %}

{#- The same of a text. -#}
{% macro read_text_as(type, value) -%}
    {%- if type == 'timestamp' -%}
        {{ return(text_to_utc(value)) }}
    {%- elif type == 'bigint' -%}
        {{ return(to_whole_number(value)) }}
    {%- elif type == 'boolean' -%}
        {{ return(to_boolean(value)) }}
    {%- elif type.startswith('decimal') -%}
        {{ return(to_decimal(value, type)) }}
    {%- endif -%}
    {{ exceptions.raise_compiler_error("The contract of the extracts has a type that nothing reads: " ~ type) }}
{%- endmacro %}


{% macro deliveries_path() -%}
    {{ return(warehouse_path('deliveries')) }}
{%- endmacro %}


{#- Lays a view over the stored files of each extract. ``found``: the answer of take_in_files(). -#}
{% macro view_stored_files(contracts, found) -%}
    {%- set statements = [] -%}
    {%- for contract in contracts.values() -%}
        {%- set patterns, inputs = {}, {} -%}
        {%- for path in found.files.get(contract.name, []) | map(attribute=1) | unique | sort -%}
            {%- set lacking = found.lacks.get(path, []) | join(' ') -%}
            {%- do patterns.setdefault(lacking, []).append(literal(exact_pattern(deliveries_path() ~ '/' ~ path))) -%}
        {%- endfor -%}
        {%- for lacking, files in patterns.items() -%}
            {%- set input = "read_parquet([" ~ files | join(', ') ~ "], hive_partitioning = false) as stored" -%}
            {%- do inputs.update({lacking: input ~ (without_superseded() if contract.name in found.superseded else '')}) -%}
        {%- endfor -%}
        {%- do statements.append(view_over_files(contract, inputs)) -%}
    {%- endfor -%}
    {%- do run_statements(statements) -%}
{%- endmacro %}


{#- Stops the run where one of the stored files that it is about to read is not as it was stored. Of the others the engine reads
    the end, which must say what they hold. ``condition``: on run_state.stored_files. -#}
{% macro verify_files(condition) -%}
    {{ return(adapter.dispatch('verify_files')(condition)) }}
{%- endmacro %}

{% macro duckdb__verify_files(condition) -%}
    {%- set paths, others = [], [] -%}
    {%- for path, is_read in run_query("select path, bool_or(" ~ condition ~ ") from run_state.stored_files group by path order by path").rows -%}
        {%- do (paths if is_read else others).append(path) -%}
    {%- endfor -%}
    {%- set arguments = [literal(deliveries_path()), literal(tojson(paths)), literal(tojson(others))] -%}
    {%- set problem = run_query("select verify_stored_files(" ~ arguments | join(', ') ~ ")").columns[0].values()[0] -%}
    {%- if problem -%}
        {{ exceptions.raise_compiler_error(problem) }}
    {%- endif -%}
{%- endmacro %}

{#- Spark reads each stored file once, when its load is new. -#}
{% macro spark__verify_files(condition) -%}
{%- endmacro %}


{#- The condition that leaves out the rows of stored files that others continue. -#}
{% macro without_superseded() -%}
    {{ return(" where not exists (select 1 from run_state.superseded_files as superseded where superseded.load_id = stored.load_id and superseded.file_name = stored.file_name)") }}
{%- endmacro %}


{#- The statement that lays an extract's view over stored files, which have its columns by their types. ``inputs``: what follows
    "from", by the columns that these files lack, separated by blanks: they were stored before the contract had them. Without files
    the view has no rows: no such usage. -#}
{% macro view_over_files(contract, inputs) -%}
    {%- set selects = [] -%}
    {%- for lacking, input in inputs.items() -%}
        {%- do selects.append(rows_of_files(contract, lacking.split(' '), input)) -%}
    {%- endfor -%}
    {%- if not selects -%}
        {%- set nothing = [] -%}
        {%- for column in contract.columns.values() -%}
            {%- do nothing.append("cast(null as " ~ stored_type(column) ~ ") as " ~ column.name) -%}
        {%- endfor -%}
        {%- do selects.append(
            "select " ~ nothing | join(', ')
            ~ ", cast(null as string) as extra, cast(null as string) as unread_column, cast(null as bigint) as load_id, cast(null as string) as file_name where false"
        ) -%}
    {%- endif -%}
    {{ return("create or replace view extracts." ~ contract.name ~ " as " ~ selects | join(' union all ')) }}
{%- endmacro %}

{#- The rows of stored files that lack some columns: these are looked for among what was kept aside. -#}
{% macro rows_of_files(contract, lacking, input) -%}
    {%- set select, kept_aside, unread = [], [], [] -%}
    {%- for column in contract.columns.values() -%}
        {%- set type = stored_type(column) -%}
        {%- set is_checked = not column.meta.may_be_unreadable -%}
        {%- if column.name in lacking -%}
            {%- set text = without_no_value(column, json_text('extra', column.name)) -%}
            {%- set value = text if type == 'string' else read_text_as(type, text) -%}
            {%- do select.append(value ~ " as " ~ column.name) -%}
            {%- if is_checked -%}
                {%- do kept_aside.append("when " ~ text ~ " is not null and " ~ value ~ " is null then " ~ literal(column.name)) -%}
            {%- endif -%}
        {%- else -%}
            {%- do select.append((without_no_value(column, column.name) if type == 'string' else column.name) ~ " as " ~ column.name) -%}
            {%- if is_checked -%}
                {%- do unread.append(column.name) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set unread_column = first_unread_column(unread) -%}
    {%- if kept_aside -%}
        {%- set unread_column = "coalesce(" ~ unread_column ~ ", case " ~ kept_aside | join(' ') ~ " end)" -%}
    {%- endif -%}
    {{ return("select " ~ select | join(', ') ~ ", extra, " ~ unread_column ~ " as unread_column, load_id, file_name from " ~ input) }}
{%- endmacro %}


{#- The first of the columns for which extra keeps a text that could not be read; null where there is none. -#}
{% macro first_unread_column(columns) -%}
    {%- set marks = [] -%}
    {%- for mark in var('null_marks') -%}
        {%- do marks.append(modules.re.escape(mark | string | trim)) -%}
    {%- endfor -%}
    {{ return(adapter.dispatch('first_unread_column')(columns, '(?i)\\s*(' ~ marks | join('|') ~ ')?\\s*')) }}
{%- endmacro %}

{% macro duckdb__first_unread_column(columns, mark) -%}
    case
        when extra is not null
            then list_filter(['{{ columns | join("', '") }}'], lambda name: not regexp_full_match(json_extract_string(extra, '$."' || name || '"'), {{ literal(mark) }}))[1]
    end
{%- endmacro %}

{% macro spark__first_unread_column(columns, mark) -%}
    case
        when extra is not null
            then try_element_at(filter(array('{{ columns | join("', '") }}'), name -> not coalesce(get_json_object(extra, '$.' || name), '') rlike {{ literal('^' ~ mark ~ '$') }}), 1)
    end
{%- endmacro %}


{#- Tables named <name> or raw_<name> in a schema that is already in the warehouse. -#}
{% macro view_tables(schema, contracts) -%}
    {%- do bring_schema(schema) -%}
    {%- set tables = columns_of_tables(schema) -%}
    {%- if not tables -%}
        {{ exceptions.raise_compiler_error("The schema " ~ schema ~ " (var extracts_schema) has no tables in the warehouse.") }}
    {%- endif -%}
    {%- for name, contract in contracts.items() -%}
        {%- set table = [name, 'raw_' ~ name] | select('in', tables) | first -%}
        {%- if table -%}
            {%- for column in required_columns(contract) if column not in tables[table] -%}
                {{ exceptions.raise_compiler_error("The table " ~ schema ~ "." ~ table ~ " lacks the required column " ~ column ~ ".") }}
            {%- endfor -%}
            {%- do run_query(view_over_table(contract, adapter.quote(schema) ~ "." ~ adapter.quote(table), literal(schema ~ '.' ~ table))) -%}
        {%- else -%}
            {%- set streamed = name in ('jobs', 'steps') and ('job_history' in tables or 'raw_job_history' in tables) -%}
            {%- if contract.meta.required and not streamed -%}
                {{ exceptions.raise_compiler_error("The schema " ~ schema ~ " lacks the required table " ~ name ~ " (or raw_" ~ name ~ ").") }}
            {%- endif -%}
            {%- do run_query(view_over_files(contract, {})) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}


{% macro columns_of_tables(schema) -%}
    {{ return(adapter.dispatch('columns_of_tables')(schema)) }}
{%- endmacro %}

{#- The tables and views of a schema: {name: [its columns, in small letters]}. -#}
{% macro duckdb__columns_of_tables(schema) -%}
    {%- set tables = {} -%}
    {%- for row in run_query("select table_name, column_name from information_schema.columns where table_catalog = current_database() and table_schema = " ~ literal(schema)).rows -%}
        {%- do tables.setdefault(row[0], []).append(row[1] | lower) -%}
    {%- endfor -%}
    {{ return(tables) }}
{%- endmacro %}

{% macro spark__columns_of_tables(schema) -%}
    {%- set tables = {} -%}
    {%- if run_query("show schemas like " ~ literal(schema)).rows -%}
        {%- for row in run_query("show tables in " ~ schema).rows if row[0] == schema -%}
            {%- do tables.update({row[1]: adapter.get_columns_in_relation(api.Relation.create(schema=schema, identifier=row[1])) | map(attribute='name') | map('lower') | list}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(tables) }}
{%- endmacro %}


{% macro required_columns(contract) -%}
    {%- set names = [] -%}
    {%- for column in contract.columns.values() if column.meta.required -%}
        {%- do names.append(column.name) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}


{#- The statement that lays an extract's view over a table, which may lack optional columns and has types of its own. -#}
{% macro view_over_table(contract, table, file_name) -%}
    {%- set types = {} -%}
    {%- for row in run_query("describe select * from " ~ table).rows -%}
        {%- do types.update({(row[0] | lower): 'STRING' if row[1] | upper in ['VARCHAR', 'STRING'] else row[1] | upper}) -%}
    {%- endfor -%}
    {%- if contract.name == 'job_history' and 'record' not in types -%}
        {#- streamed jobs in columns rather than as JSON: back to the JSON object they were -#}
        {%- set table = "(select *, " ~ whole_row_as_json('streamed') ~ " as record from " ~ table ~ " as streamed) as records" -%}
        {%- do types.update({'record': 'STRING'}) -%}
    {%- endif -%}
    {{ return("create or replace view extracts." ~ contract.name ~ " as " ~ rows_of_table(contract, table, types, file_name)) }}
{%- endmacro %}


{#- A table's rows as those of its extract, each value read as the contract's type, with what can't be read kept in extra.
    ``types``: of the table's columns; STRING for texts. Beside extracts from files: plugins/conversion.py. -#}
{% macro rows_of_table(contract, table, types, file_name) -%}
    {%- set texts, select, unread, kept = [], [], [], {} -%}
    {%- for column in contract.columns.values() -%}
        {%- set is_text = stored_type(column) == 'string' -%}
        {%- if column.name not in types -%}
            {%- do select.append("cast(null as " ~ stored_type(column) ~ ") as " ~ column.name) -%}
        {%- else -%}
            {%- set is_typed = not is_text and types[column.name] != 'STRING' -%}
            {%- set text = column.name if types[column.name] == 'STRING' else to_text(column.name) -%}
            {%- set read = column.name if is_text else (read_as if is_typed else read_text_as)(column.data_type, column.name) -%}
            {%- do texts.append(column.name if is_typed else without_no_value(column, text) ~ " as " ~ column.name) -%}
            {%- do select.append(read ~ " as " ~ column.name) -%}
            {%- if not is_text -%}
                {%- do kept.update({column.name: column.name}) -%}
                {%- if not column.meta.may_be_unreadable -%}
                    {%- do unread.append("when " ~ column.name ~ " is not null and " ~ read ~ " is null then " ~ literal(column.name)) -%}
                {%- endif -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set unread_column = "case " ~ unread | join(' ') ~ " end" if unread else "cast(null as string)" -%}
    select {{ select | join(', ') }}, {{ row_as_json(kept) if kept else 'cast(null as string)' }} as extra, {{ unread_column }} as unread_column, cast(1 as bigint) as load_id, {{ file_name }} as file_name
    from (select {{ texts | join(', ') }} from {{ table }}) as texts
{%- endmacro %}
