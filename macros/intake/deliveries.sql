{% macro deliveries_path() -%}
    {{ return(warehouse_path('deliveries')) }}
{%- endmacro %}


{% macro view_deliveries(contracts) -%}
    {{ return(adapter.dispatch('view_deliveries')(contracts)) }}
{%- endmacro %}

{% macro duckdb__view_deliveries(contracts) -%}
    {%- set folder = env_var('EXTRACTS_DIR')
        if flags.WHICH in ['build', 'run'] and not boolean_option('only_stored_deliveries') else '' -%}
    {%- set committed = {} -%}
    {%- for row in run_query("select load_id, identity from run_state.committed_loads").rows -%}
        {%- do committed.update({row[1]: row[0] | int}) -%}
    {%- endfor -%}
    {%- set found = take_in_files(folder, contracts, committed) -%}
    {%- do compare_loads(found.loads, committed) -%}
    {%- do compare_superseded(found.superseded) -%}
    {%- do compare_compacted(found.compacted) -%}
    {%- do say_quarantined(found.quarantined) -%}
    {%- set statements = [] -%}
    {%- for table in [
        'stored_files', 'stored_loads', 'superseded_files', 'quarantined_files', 'compacted_loads',
    ] -%}
        {%- do statements.append("truncate table run_state." ~ table) -%}
    {%- endfor -%}
    {%- for number, identity in found.loads.items() -%}
        {%- do statements.append(
            "insert into run_state.stored_loads values (" ~ number ~ ", " ~ literal(identity) ~ ")"
        ) -%}
    {%- endfor -%}
    {#- as one text: ten thousand files would be ten thousand turns of a loop, and as many expressions to parse -#}
    {%- do statements.append(
        "insert into run_state.stored_files "
        ~ "select entry.key, cast(file[1] as bigint), file[2], file[3] from ("
        ~ "select entry, unnest(entry.value) as file from (select unnest(map_entries(from_json("
        ~ literal(tojson(found.files)) ~ ", '\"MAP(VARCHAR, VARCHAR[][])\"'))) as entry) as entries) as files"
    ) -%}
    {%- for number, compacted_at in found.compacted.items() -%}
        {%- do statements.append(
            "insert into run_state.compacted_loads values (" ~ number ~ ", " ~ literal(compacted_at) ~ ")"
        ) -%}
    {%- endfor -%}
    {%- for name, files in found.superseded.items() -%}
        {%- for load, path, rows in files -%}
            {%- set values = [literal(name), load, literal(path), rows] -%}
            {%- do statements.append("insert into run_state.superseded_files values (" ~ values | join(', ') ~ ")") -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for name, load, path, reason, is_replaced in found.quarantined -%}
        {%- set values = [literal(name), load, literal(path), literal(reason), is_replaced] -%}
        {%- do statements.append("insert into run_state.quarantined_files values (" ~ values | join(', ') ~ ")") -%}
    {%- endfor -%}
    {%- do run_statements(statements) -%}
    {%- if flags.WHICH in ['build', 'run'] -%}
        {%- set run = this_run() -%}
        {%- do run.update({
            'files_read': tojson({'folder': found.folder, 'by_extract': found.by_extract, 'ignored': found.ignored}),
        }) -%}
        {%- do note_this_run(run) -%}
        {%- set by_load = contracts.values() | selectattr('meta.is_read_by_load') | map(attribute='name') -%}
        {%- do verify_files(is_new_load() ~ " or extract_name not in ('" ~ by_load | join("', '") ~ "')") -%}
    {%- endif -%}
    {%- do view_stored_files(contracts, found) -%}
{%- endmacro %}


{% macro take_in() -%}
    {%- if not env_var('EXTRACTS_DIR', '') -%}
        {{ exceptions.raise_compiler_error("EXTRACTS_DIR is not set: it must name the folder of the files to load.") }}
    {%- endif -%}
    {%- do say_quarantined(take_in_files(env_var('EXTRACTS_DIR'), contracts_of_extracts()).quarantined) -%}
{%- endmacro %}


{% macro take_in_files(folder, contracts, committed={}) -%}
    {%- set terms = intake_terms(contracts) -%}
    {%- do terms.update({
        'committed': committed, 'is_whole': is_whole_run(), 'settling_seconds': var('settling_seconds') | float,
        'quarantine_files': boolean_option('quarantine_files'),
        'job_history_dir': env_var('JOB_HISTORY_DIR', ''), 'list_all': env_var('LIST_ALL', ''),
        'stream_lookback_days': var('stream_lookback_days') | float,
        'limits': {
            'null_marks': var('null_marks'), 'least_rows': var('unreadable_least_rows') | int,
            'fail_share': var('unreadable_fail_share') | float, 'warn_share': var('unreadable_warn_share') | float,
        },
    }) -%}
    {%- set arguments = [literal(folder), literal(deliveries_path()), literal(tojson(terms))] -%}
    {%- set answer = run_query("select ingest_deliveries(" ~ arguments | join(', ') ~ ")") -%}
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


{% macro intake_terms(contracts) -%}
    {%- set terms = {'extracts': {}, 'types': {'string': {'as': 'varchar', 'read': to_text('{value}')}}} -%}
    {%- set status_words = run_query(
        "select raw_status from read_csv(" ~ literal(exact_pattern(project_path('seeds/rules/status_words.csv')))
        ~ ", header = true, all_varchar = true) order by all"
    ).columns[0].values() -%}
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


{% macro compare_loads(stored, committed) -%}
    {%- if not is_whole_run() -%}
        {%- set strange = [] -%}
        {%- for number, identity in stored.items()
            if number | int <= last_committed_load() and identity not in committed -%}
            {%- do strange.append(number) -%}
        {%- endfor -%}
        {%- set lost = committed.keys() | reject('in', stored.values()) | list -%}
        {%- if strange -%}
            {%- do compute_everything(
                "the warehouse was computed without load " ~ strange | join(', ') ~ " of " ~ deliveries_path()
            ) -%}
        {%- elif lost -%}
            {%- do compute_everything(
                deliveries_path() ~ " lacks " ~ lost | length ~ " loads that the warehouse was computed from"
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro compare_superseded(superseded) -%}
    {%- if not is_whole_run() -%}
        {%- set known = run_query(
            "select load_id || ' ' || file_name from run_state.superseded_files"
        ).columns[0].values() -%}
        {%- set continued = [] -%}
        {%- for load, path, rows in superseded.values() | sum(start=[])
            if load <= last_committed_load() and load ~ ' ' ~ path not in known -%}
            {%- do continued.append(path) -%}
        {%- endfor -%}
        {%- if continued -%}
            {%- set more = " and " ~ (continued | length - 1) ~ " more" if continued | length > 1 else "" -%}
            {%- do compute_everything(
                "new files continue " ~ continued | first ~ more
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro compare_compacted(compacted) -%}
    {%- if not is_whole_run() -%}
        {%- set known = [] -%}
        {%- for load, compacted_at in run_query("select load_id, compacted_at from run_state.compacted_loads").rows -%}
            {%- do known.append(load ~ ' ' ~ compacted_at) -%}
        {%- endfor -%}
        {%- set changed = [] -%}
        {%- for load, compacted_at in compacted.items() if load ~ ' ' ~ compacted_at not in known -%}
            {%- do changed.append(load) -%}
        {%- endfor -%}
        {%- if changed or known | length != compacted | length -%}
            {%- do compute_everything("loads of " ~ deliveries_path() ~ " were compacted, or restored") -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro say_quarantined(quarantined) -%}
    {%- set waiting = quarantined | rejectattr(4) | list -%}
    {%- if waiting -%}
        {%- do exceptions.warn(
            waiting | length ~ (" file is" if waiting | length == 1 else " files are")
            ~ " quarantined, and none of their rows counts (audit.quarantined_files). The first, of load "
            ~ waiting[0][1] ~ ": " ~ waiting[0][2] ~ ". " ~ waiting[0][3]
            ~ " A full build tries them again; make forget-load removes a load permanently."
        ) -%}
    {%- endif -%}
{%- endmacro %}
