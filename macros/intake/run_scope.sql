{#- The scope of a run. Decisions: docs/decisions/full-recompute-on-change.md, docs/decisions/committed-runs.md,
    docs/decisions/affected-jobs.md. -#}

{% macro open_run() -%}
    {%- if execute -%}
        {%- do drop_state_of_another_format() -%}
        {%- do create_run_state() -%}
        {%- if flags.WHICH in ['build', 'run'] -%}
            {%- set known, before, present = watermark(), this_run(), fingerprints() -%}
            {%- set reads_files = env_var('EXTRACTS_DIR', '') != '' or boolean_option('only_stored_deliveries') -%}
            {%- set recomputes, reason = 'nothing', none -%}
            {%- if not reads_files or known.last_committed_load == 0 -%}
                {%- set recomputes = 'everything' -%}
            {%- elif flags.FULL_REFRESH -%}
                {%- set recomputes = 'everything' -%}
                {%- set reason = "Everything is recomputed from the stored deliveries: --full-refresh." -%}
            {%- elif known.facts_fingerprint != present.facts -%}
                {%- set recomputes = 'everything' -%}
                {%- set reason = "Everything is recomputed from the stored deliveries: an option for reading, the "
                    ~ "project's code or the engine changed." -%}
            {%- elif known.jobs_fingerprint != present.jobs -%}
                {%- set recomputes = 'jobs' -%}
                {%- set reason = "All decisions are recomputed, and the facts about steps are kept: rules or options "
                    ~ "of jobs changed." -%}
            {%- elif known.decisions_fingerprint != present.decisions -%}
                {%- set recomputes = 'decisions' -%}
                {%- set reason = "The decisions on steps, requests and seats are recomputed, and facts and jobs are "
                    ~ "kept: rules or options changed." -%}
            {%- elif before and not before.is_committed -%}
                {%- set recomputes = 'dates' -%}
            {%- endif -%}
            {%- if reason -%}
                {%- do log(reason, info=True) -%}
            {%- endif -%}
            {%- do note_this_run({
                'recomputes': recomputes,
                'last_committed_load': 0 if recomputes == 'everything' else known.last_committed_load,
                'facts_fingerprint': present.facts, 'jobs_fingerprint': present.jobs,
                'decisions_fingerprint': present.decisions, 'has_news': true, 'is_committed': false,
            }) -%}
            {%- do forget_what_is_recomputed(recomputes) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- The fingerprints stay removed until this run is committed. If the run fails, the next run recomputes the same. -#}
{% macro forget_what_is_recomputed(recomputes) -%}
    {%- set forgotten = {
        'everything': ['facts_fingerprint', 'jobs_fingerprint', 'decisions_fingerprint', 'run_id'],
        'jobs': ['jobs_fingerprint', 'decisions_fingerprint'],
        'decisions': ['decisions_fingerprint'],
    } -%}
    {%- if recomputes in forgotten -%}
        {%- set state = watermark() -%}
        {%- for column in forgotten[recomputes] -%}
            {%- do state.update({column: none}) -%}
        {%- endfor -%}
        {%- if recomputes == 'everything' -%}
            {%- do state.update({'last_committed_load': 0}) -%}
            {%- for table in ['stored_files', 'superseded_files', 'quarantined_files', 'compacted_loads'] -%}
                {%- do empty_state(table) -%}
            {%- endfor -%}
        {%- endif -%}
        {%- do set_watermark(state) -%}
    {%- endif -%}
{%- endmacro %}


{#- Without news only rows that depend on the run's own state can change. -#}
{% macro note_whether_there_is_news() -%}
    {%- set run, intake = this_run(), working_schema('intake') -%}
    {%- if flags.WHICH in ['build', 'run'] and run.recomputes == 'nothing' and var('recompute_month') is none -%}
        {%- set as_of_date -%}
            {%- if as_of_option() -%}
            cast({{ literal(as_of_option()) }} as date)
            {%- else -%}
            {{ newest_date() }}
            {%- endif -%}
        {%- endset -%}
        {%- set has_news = run_query(
            "select exists (select 1 from run_state.stored_files where " ~ is_new_load() ~ ")"
            ~ " or (select as_of_date from " ~ intake ~ ".as_of) is distinct from " ~ as_of_date
        ).columns[0].values()[0] -%}
        {%- do run.update({'has_news': has_news}) -%}
        {%- do note_this_run(run) -%}
    {%- endif -%}
{%- endmacro %}


{% macro newest_date() -%}
    (select {{ local_date('max(newest_extracted_at)') }} from {{ working_schema('intake') }}.delivery_totals)
{%- endmacro %}


{% macro compute_everything(reason) -%}
    {%- if not is_whole_run() -%}
        {%- do log("Everything is recomputed from the stored deliveries: " ~ reason ~ ".", info=True) -%}
    {%- endif -%}
    {%- set run = this_run() -%}
    {%- do run.update({'recomputes': 'everything', 'last_committed_load': 0, 'has_news': true}) -%}
    {%- do note_this_run(run) -%}
    {%- do forget_what_is_recomputed('everything') -%}
{%- endmacro %}


{% macro fingerprints() -%}
    {%- set options = {
        'facts': [
            'reporting_timezone', 'job_history_page_count_path', 'job_history_messages_path',
            'job_history_called_recipe_path', 'null_marks', 'listing_tolerance_hours', 'unconfirmed_after_days',
        ],
        'jobs': ['admin_account_ids', 'count_test_jobs', 'rules_as_of', 'rule_overrides'],
        'decisions': [
            'unruled_app_is_eligible', 'unknown_app_is_eligible', 'task_terms', 'default_terms', 'prorate_allowances',
            'vendor_timezone', 'vendor_task_terms',
        ],
    } -%}
    {%- set digests = code_digests() -%}
    {%- set engine = run_query("select version()").columns[0].values()[0] -%}
    {%- set found = {} -%}
    {%- for name, chosen in options.items() -%}
        {%- set values = {} -%}
        {%- for option in chosen -%}
            {%- set is_boolean = known_options()[option] == 'boolean' -%}
            {%- do values.update({option: boolean_option(option) if is_boolean else var(option)}) -%}
        {%- endfor -%}
        {%- set text = tojson(values, sort_keys=true) ~ (engine if name == 'facts' else '') ~ digests[name] -%}
        {%- do found.update({name: local_md5(text)}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{% macro commit_run() -%}
    {%- set intake, staging = working_schema('intake'), working_schema('staging') -%}
    {%- set run = this_run() -%}
    {%- do set_watermark({
        'facts_fingerprint': run.facts_fingerprint, 'jobs_fingerprint': run.jobs_fingerprint,
        'decisions_fingerprint': run.decisions_fingerprint, 'run_id': invocation_id,
        'last_committed_load':
            run_query("select coalesce(max(load_id), 0) from run_state.stored_files").columns[0].values()[0],
        'as_of_date': run_query("select as_of_date from " ~ intake ~ ".as_of").columns[0].values()[0],
    }) -%}
    {%- do run.update({'is_committed': true}) -%}
    {%- do note_this_run(run) -%}
    {%- do replace_state('committed_loads', "select load_id, identity from run_state.stored_loads") -%}
    {%- do replace_state(
        'listed_recipes',
        "select customer_id, recipe_id, recipe_type, trigger_adapter, trigger_operation from "
        ~ staging ~ ".stg_recipes where is_current"
    ) -%}
    {%- do replace_state(
        'mcp_collections',
        "select customer_id, api_collection_id from "
        ~ staging ~ ".stg_api_collections where is_current and is_mcp_server"
    ) -%}
    {%- do replace_state('known_terms', terms_in_force(staging)) -%}
    {%- do replace_state(
        'known_vendor_reports',
        "select customer_id, usage_month, extracted_at from " ~ intake ~ ".vendor_reports"
    ) -%}
{%- endmacro %}


{% macro is_recomputed(scope) -%}
    {#- outside of a run, for example if a model is only compiled, its query covers all rows -#}
    {%- if not execute or flags.WHICH not in ['build', 'run'] -%}
        {{ return(true) }}
    {%- endif -%}
    {%- set run = run_query("select recomputes from run_state.this_run").rows -%}
    {%- set dates = scopes_of_dates().keys() | list + billed_scopes().keys() | list -%}
    {%- set scopes = {
        'nothing': [],
        'dates': dates,
        'decisions': dates + ['request', 'decided_job'],
        'jobs': dates + ['request', 'decided_job', 'job'],
    } -%}
    {%- if scope not in scopes.jobs + ['load', 'steps'] -%}
        {{ exceptions.raise_compiler_error("There is no scope " ~ scope ~ ".") }}
    {%- endif -%}
    {{ return(not run or run[0][0] == 'everything' or scope in scopes[run[0][0]]) }}
{%- endmacro %}

{% macro is_whole_run() -%}
    {{ return(is_recomputed('load')) }}
{%- endmacro %}


{% macro last_committed_load() -%}
    {{ return(run_query("select last_committed_load from run_state.this_run").columns[0].values()[0]) }}
{%- endmacro %}

{% macro is_new_load(column='load_id') -%}
    {%- if is_whole_run() -%}
    true
    {%- else -%}
    {{ column }} > {{ last_committed_load() }}
    {%- endif -%}
{%- endmacro %}


{% macro is_load_to_parse() -%}
    {{ return(adapter.dispatch('is_load_to_parse')()) }}
{%- endmacro %}

{% macro duckdb__is_load_to_parse() -%}
    true
{%- endmacro %}

{% macro spark__is_load_to_parse() -%}
    {{ is_new_load() }}
{%- endmacro %}


{% macro in_this_run(unit_kind) -%}
    {%- if not execute -%}
        {%- do ref('units_this_run') -%}
    {%- endif -%}
    {%- if is_recomputed(unit_kind) -%}
    true
    {%- else -%}
    {{ is_unit(unit_kind, ref('units_this_run')) }}
    {%- endif -%}
{%- endmacro %}

{% macro is_unit(unit_kind, units) -%}
    {%- set kind = 'job' if unit_kind == 'decided_job' else unit_kind -%}
    {{ 'request_hash' if kind == 'request' else 'job_hash' }} in (
        select units.unit_hash from {{ units }} as units where units.unit_kind = '{{ kind }}'
    )
{%- endmacro %}


{% macro delivered_in_this_run(unit_kind) -%}
    {%- set index = {
        'job': 'delivered_jobs', 'steps': 'delivered_steps', 'request': 'delivered_requests',
    }[unit_kind] -%}
    {%- if not execute -%}
        {%- do ref(index) -%}
        {%- do ref('units_this_run') -%}
    {%- endif -%}
    {%- if is_recomputed(unit_kind) -%}
    true
    {%- else -%}
    {%- set is_asked = is_unit(unit_kind, ref('units_this_run')) -%}
    {%- set names = ['first_file_name', 'last_file_name'] if unit_kind == 'steps' else ['file_name'] * 2 -%}
    {%- set files = run_query(
        "select distinct load_id, " ~ names[0] ~ " as first_name, " ~ names[1] ~ " as last_name from "
        ~ ref(index) ~ " where " ~ is_asked ~ " order by load_id, first_name, last_name"
    ).rows -%}
    {%- set loads = files | map(attribute=0) | unique | list -%}
    {%- if loads -%}
        {%- do verify_files("load_id in (" ~ loads | join(', ') ~ ")") -%}
    {%- endif -%}
    load_id in ({{ loads | join(', ') if loads else 'null' }})
    and {{ is_asked }}
    {%- if 0 < files | length <= 500 and files | map(attribute=1) | select('none') | list | length == 0 %}
    and ({{ is_of_files(files) }})
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- The engine skips what it stored of other files: a load of a year's files is one stored file. -#}
{% macro is_of_files(files) -%}
    {%- set single, ranges = [], [] -%}
    {%- for _, first, last in files -%}
        {%- if first == last -%}
            {%- do single.append(literal(first)) -%}
        {%- else -%}
            {%- do ranges.append("file_name between " ~ literal(first) ~ " and " ~ literal(last)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if single -%}
        {%- do ranges.append("file_name in (" ~ single | unique | join(', ') ~ ")") -%}
    {%- endif -%}
    {{ ranges | unique | join(' or ') }}
{%- endmacro %}
