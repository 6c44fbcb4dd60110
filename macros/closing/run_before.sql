{#- The run before, with which a run compares units of closed months. A run that changes several things at once makes
    the runs in between: docs/decisions/restatements.md -#}

{% macro run_before() -%}
    {%- if not execute -%}
        {%- for model in [
            'closed_month_figures', 'metered_jobs', 'metered_requests', 'job_units', 'calls_over_mcp', 'step_facts',
            'step_profiles', 'as_of', 'units_this_run', 'affected_dates', 'delivered_jobs', 'delivered_steps',
            'delivered_requests', 'stg_recipes', 'stg_api_collections',
        ] -%}
            {%- do ref(model) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if not compares_closes() -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set plan = plan_of_restatements() -%}
    {%- set before = published_path() if plan.is_published else none -%}
    {%- if plan.stages -%}
        {%- set found = fromjson(
            run_query("select replay_changes(" ~ literal(tojson(plan)) ~ ")").columns[0].values()[0]
        ) -%}
        {%- if found.problem -%}
            {%- do exceptions.warn(
                "Several things changed at once, and the runs in between could not be made: " ~ found.problem
                ~ " What each of them changed in closed months is therefore one restatement with the cause "
                ~ (plan.last_cause or 'of its deliveries') ~ "."
            ) -%}
        {%- else -%}
            {%- set before = found.before -%}
            {%- if found.restatements -%}
                {%- do replace_state('replayed_restatements', "from " ~ parquet_files(found.restatements)) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
    {%- set is_compared = before is not none and plan.compares_units -%}
    {#- Without the run before, all is of the last cause that deliveries have. -#}
    {%- set last_cause = plan.last_cause
        or (none if is_compared else 'late_delivery' if plan.new else 'removed_load' if plan.lost else none) -%}
    {%- do replace_state('restating', "select " ~ [
        "cast(" ~ nullable(last_cause) ~ " as string) as last_cause",
        ('true' if plan.lost else 'false') ~ " as lost_a_load",
        literal(plan.new.values() | join(', ')) ~ " as new_loads",
        ('true' if is_compared else 'false') ~ " as is_compared",
    ] | join(', ')) -%}
    {%- if not is_compared -%}
        {{ return(none) }}
    {%- endif -%}
    {%- do run_query("attach " ~ literal(before) ~ " as " ~ database_before() ~ " (read_only)") -%}
    {{ return(database_before()) }}
{%- endmacro %}

{% macro database_before() -%}
    {{ return('run_before') }}
{%- endmacro %}

{% macro forget_run_before() -%}
    {%- if execute and target.type == 'duckdb' and flags.WHICH in ['build', 'run'] -%}
        {%- do run_query("detach database if exists " ~ database_before()) -%}
        {%- do run_query("select forget_replay(" ~ literal(target.path) ~ ")") -%}
    {%- endif -%}
{%- endmacro %}


{#- What changed since the last run that compared closed months: loads, rules, options, code. Each but the last is
    applied in a run in between. -#}
{% macro plan_of_restatements() -%}
    {%- set state = fromjson(run_query("select state from run_state.closing").columns[0].values()[0]) -%}
    {%- set inputs = inputs_of_run() -%}
    {%- set new, lost, others = {}, {}, [] -%}
    {%- for identity, load in inputs.loads.items() if identity not in state.loads -%}
        {%- do new.update({identity: load}) -%}
    {%- endfor -%}
    {%- for identity, load in state.loads.items() if identity not in inputs.loads -%}
        {%- do lost.update({identity: load}) -%}
    {%- endfor -%}
    {%- if state.rules != inputs.rules -%}
        {%- do others.append('rule_change') -%}
    {%- endif -%}
    {%- for name, value in inputs.options.items()
        if not name.startswith(('vendor_', 'unexplained_', 'unusual_')) and state.options.get(name, value) != value
        and 'option_change' not in others -%}
        {%- do others.append('option_change') -%}
    {%- endfor -%}
    {%- if state.code != inputs.code -%}
        {%- do others.append('code_change') -%}
    {%- endif -%}
    {%- set is_stored = state.source == 'deliveries' and inputs.source == 'deliveries' -%}
    {%- set has_deliveries = new or lost or not is_stored -%}
    {%- set stages = [] -%}
    {%- set differs = run_query(
        "select exists (select 1 from " ~ ref('closed_month_figures') ~ " where known_quantity <> quantity)"
    ).columns[0].values()[0] -%}
    {%- set is_published = run_query("select published_run(" ~ literal(published_path()) ~ ")").columns[0].values()[0]
        == state.run_id -%}
    {%- if is_stored and differs and not env_var('REPLAYS_CHANGES', '') -%}
        {%- if new and (lost or not follows_compared_run() or has_listing_changes(new.values() | list)) -%}
            {%- do stages.append('units') -%}
        {%- endif -%}
        {%- if (new or lost) and others -%}
            {%- do stages.append('deliveries') -%}
        {%- endif -%}
        {%- do stages.extend(others[:-1]) -%}
        {%- if not is_published and (stages or has_deliveries) -%}
            {%- do stages.insert(0, 'base') -%}
        {%- endif -%}
    {%- endif -%}
    {{ return({
        'stages': stages, 'new': new, 'lost': lost, 'inputs': inputs, 'state': state, 'is_published': is_published,
        'last_cause': others | last if others else none,
        'compares_units': has_deliveries and (not others or not is_stored),
        'project': project_path(), 'published': published_path(),
    }) }}
{%- endmacro %}


{#- Whether the last committed run of the build is the one with which this run compares. Not so if a run was killed
    before its publication, or showed the past. -#}
{% macro follows_compared_run() -%}
    {%- set state = fromjson(run_query("select state from run_state.closing").columns[0].values()[0]) -%}
    {{ return(run_query("select max(run_id) from run_state.watermark").columns[0].values()[0] == state.run_id) }}
{%- endmacro %}


{#- Whether listings change jobs or requests that are delivered at the same time. Deliveries come first, by the listings
    before. -#}
{% macro has_listing_changes(loads) -%}
    {%- set is_new = "load_id in (" ~ loads | join(', ') ~ ")" -%}
    {%- set changed = [] -%}
    {%- for listed, before in [
        ("select customer_id, recipe_id, recipe_type, trigger_adapter, trigger_operation from " ~ ref('stg_recipes')
            ~ " where is_current", "select * from run_state.listed_recipes"),
        ("select customer_id, api_collection_id from " ~ ref('stg_api_collections')
            ~ " where is_current and is_mcp_server", "select * from run_state.mcp_collections"),
    ] -%}
        {%- do changed.append("select customer_id from (" ~ listed ~ " except " ~ before ~ ")") -%}
        {%- do changed.append("select customer_id from (" ~ before ~ " except " ~ listed ~ ")") -%}
    {%- endfor -%}
    {%- set months = "select usage_month from run_state.closed_months" -%}
    {%- set delivered = [] -%}
    {%- for index, units, key in [
        ('delivered_jobs', 'metered_jobs', 'job_hash'), ('delivered_requests', 'metered_requests', 'request_hash'),
    ] -%}
        {%- do delivered.append(
            "select units.customer_id from " ~ ref(index) ~ " as delivered inner join " ~ ref(units)
            ~ " as units on units." ~ key ~ " = delivered." ~ key ~ " where delivered." ~ is_new
            ~ " and date_trunc('month', units.usage_date) in (" ~ months ~ ")"
        ) -%}
    {%- endfor -%}
    {{ return(run_query(
        "select exists (select 1 from (" ~ delivered | join(' union all ') ~ ") as delivered where customer_id in ("
        ~ changed | join(' union all ') ~ "))"
    ).columns[0].values()[0]) }}
{%- endmacro %}


{% macro restating(column) -%}
    {%- if not execute or flags.WHICH not in ['build', 'run'] -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set rows = run_query("select " ~ column ~ " from run_state.restating").rows -%}
    {{ return(rows[0][0] if rows else none) }}
{%- endmacro %}

{% macro cause_of_the_rest(month_aggregation) -%}
    {%- if restating('last_cause') -%}
    '{{ restating('last_cause') }}'
    {%- else -%}
    case when {{ month_aggregation }} = 'sum' then 'code_change' else 'seat_or_term_change' end
    {%- endif -%}
{%- endmacro %}

{% macro run_before_has(table, column) -%}
    {{ return(run_query(
        "select exists (select 1 from duckdb_columns() where database_name = " ~ literal(database_before())
        ~ " and table_name = " ~ literal(table) ~ " and column_name = " ~ literal(column) ~ ")"
    ).columns[0].values()[0]) }}
{%- endmacro %}

{#- A run before of an older release, whose terms have no names, is priced by the terms of now. -#}
{% macro terms_before(model) -%}
    {%- set now, before = ref(model), none -%}
    {%- if restating('is_compared') and run_before_has('customer_terms', 'terms') -%}
        {%- set before = database_before() -%}
    {%- endif -%}
    {{ return(in_database(before, now)) }}
{%- endmacro %}
