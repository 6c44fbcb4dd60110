{% macro extracts_from() -%}
    {%- if env_var('EXTRACTS_DIR', '') -%}
    {{ return(env_var('EXTRACTS_DIR')) }}
    {%- elif var('extracts_schema', none) is not none -%}
    {{ return('schema ' ~ var('extracts_schema')) }}
    {%- endif -%}
    {{ return('the sample') }}
{%- endmacro %}


{% macro summarize() -%}
    {%- do log("", info=True) -%}
    {%- do log("Published " ~ published_path(), info=True) -%}
    {%- for line in what_was_read() + totals_of_months() + what_to_look_at() -%}
        {%- do log(line, info=True) -%}
    {%- endfor -%}
{%- endmacro %}


{% macro what_was_read() -%}
    {%- set files_read = this_run().files_read -%}
    {%- if not files_read -%}
        {{ return(["Read " ~ extracts_from() ~ "."]) }}
    {%- endif -%}
    {%- set found = fromjson(files_read) -%}
    {%- if not found.folder -%}
        {{ return(["Read only the stored deliveries: only_stored_deliveries is set."]) }}
    {%- endif -%}
    {%- set lines = [] -%}
    {%- if found.by_extract -%}
        {%- do lines.append("Read from " ~ found.folder ~ ": " ~ found.by_extract ~ ".") -%}
    {%- else -%}
        {%- do lines.append("No new files in " ~ found.folder ~ ": all are stored already.") -%}
    {%- endif -%}
    {%- if found.ignored -%}
        {%- do lines.append(
            "Ignored " ~ found.ignored | length ~ (" path" if found.ignored | length == 1 else " paths")
            ~ ", the first " ~ found.ignored[0] ~ "."
        ) -%}
    {%- endif -%}
    {{ return(lines) }}
{%- endmacro %}


{% macro totals_of_months() -%}
    {%- set labels = run_query(
        "select metric, units from labels.metric_labels where is_total order by position"
    ).rows -%}
    {%- set sums = [] -%}
    {%- for metric, units in labels -%}
        {%- do sums.append("sum(used." ~ metric ~ ")") -%}
    {%- endfor -%}
    {%- set months = run_query(
        "select used.usage_month, max(as_of.as_of_date), bool_or(used.is_current_month), bool_and(used.is_covered), "
        ~ "count(*), " ~ sums | join(', ')
        ~ " from marts.monthly_customer_usage as used cross join " ~ working_schema('intake') ~ ".as_of as as_of"
        ~ " where used.usage_month >= as_of.as_of_month - interval '1' month"
        ~ " group by used.usage_month order by used.usage_month"
    ).rows -%}
    {%- set said = [] -%}
    {%- for month in months -%}
        {%- set words = month[0].strftime('%B %Y') -%}
        {%- do said.append(words if not month[2] else "up to " ~ month[1].day ~ " " ~ words) -%}
    {%- endfor -%}
    {%- set lines = ["Usage of " ~ months[-1][4] ~ " customers in " ~ said | join(', and ') ~ ":"] if months else [] -%}
    {%- for metric, units in labels if months -%}
        {%- set cells, position = [], loop.index + 4 -%}
        {%- for month in months -%}
            {%- set is_unknown = not month[3] and not month[position] and not metric.endswith('seats') -%}
            {%- do cells.append(
                "{:>12}".format("not covered") if is_unknown else "{:>12,}".format(month[position] | int)
            ) -%}
        {%- endfor -%}
        {%- do lines.append("  " ~ cells | join('  ') ~ "  " ~ units) -%}
    {%- endfor -%}
    {{ return(lines) }}
{%- endmacro %}


{% macro what_to_look_at() -%}
    {%- set reasons = run_query(
        "select extract_name, reason, count(*) as many from audit.quarantined_rows group by extract_name, reason "
        ~ "order by many desc, extract_name, reason"
    ).rows -%}
    {%- set findings = run_query("select count(*) from audit.findings").rows[0][0] -%}
    {%- set before = run_query(
        "select rows_quarantined from publication.runs where published_at is not null and run_id <> "
        ~ literal(invocation_id) ~ " order by published_at desc, started_at desc limit 1"
    ).rows -%}
    {%- set total, most = reasons | sum(attribute=2, start=0) | int, [] -%}
    {%- for extract, reason, many in reasons[:3] -%}
        {%- do most.append("{:,}".format(many | int) ~ " of " ~ extract ~ " (" ~ reason ~ ")") -%}
    {%- endfor -%}
    {%- if reasons | length > 3 -%}
        {%- do most.append("{:,}".format(reasons[3:] | sum(attribute=2, start=0) | int) ~ " for other reasons") -%}
    {%- endif -%}
    {%- set more = total - before[0][0] | int if before else 0 -%}
    {%- set since = ", {:,} {} than after the last run".format(more | abs, 'more' if more > 0 else 'fewer') if more
        else "" -%}
    {%- set ignored = run_query("select sum(rows_ignored) from audit.extract_row_counts").rows[0][0] | int -%}
    {%- set lines = [
        "{:,} rows in audit.quarantined_rows".format(total) ~ since ~ (": " if most else "") ~ most | join(', '),
        "{:,} rows in audit.findings".format(findings),
    ] -%}
    {%- if ignored -%}
        {%- do lines.append(
            "{:,} streamed event{} ignored: neither {} nor {} (rows_ignored of audit.extract_row_counts)".format(
                ignored, *(["s are", "jobs", "API logs"] if ignored > 1 else [" is", "a job", "an API log"])
            )
        ) -%}
    {%- endif -%}
    {{ return(lines) }}
{%- endmacro %}
