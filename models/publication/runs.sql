{{ config(materialized='table') }}

with

extract_row_counts as (

    select * from {{ ref('extract_row_counts') }}

),

findings as (

    select count(*) as findings from {{ ref('findings') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

totals as (

    select
        cast(sum(rows_read) as bigint) as rows_read,
        cast(sum(rows_used) as bigint) as rows_used,
        cast(sum(rows_repeated) as bigint) as rows_repeated,
        cast(sum(rows_quarantined) as bigint) as rows_quarantined,
        cast(sum(rows_erased) as bigint) as rows_erased,
        cast(sum(rows_ignored) as bigint) as rows_ignored
    from extract_row_counts

),

-- published_at is set when every node of the run has succeeded. A run that is not published is not in the list of the
-- next run (macros/publishing/run_list.sql).
this_run as (

    select
        {{ literal(invocation_id) }} as run_id,
        cast({{ literal(run_started_at.strftime('%Y-%m-%d %H:%M:%S')) }} as timestamp) as started_at,
        cast(null as timestamp) as published_at,
        {{ literal(extracts_from()) }} as extracts_from,
        as_of.as_of_date,
        totals.rows_read,
        totals.rows_used,
        totals.rows_repeated,
        totals.rows_quarantined,
        totals.rows_erased,
        totals.rows_ignored,
        findings.findings,
        {{ 'true' if ran_data_tests() else 'false' }} as ran_data_tests,
        {{ project_revision() }} as project_revision,
        {{ literal(dbt_version) }} as dbt_version,
        version() as engine_version
    from totals
    cross join findings
    cross join as_of

),

runs as (

    select
        run_id,
        started_at,
        published_at,
        extracts_from,
        as_of_date,
        rows_read,
        rows_used,
        rows_repeated,
        rows_quarantined,
        rows_erased,
        rows_ignored,
        findings,
        ran_data_tests,
        project_revision,
        dbt_version,
        engine_version
    from {{ source('run_state', 'published_runs') }}

    union all

    select * from this_run

)

select * from runs
