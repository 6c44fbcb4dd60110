{% macro warn_of_what_was_found(results) -%}
    {%- set made = results | selectattr('status', 'equalto', 'success') | map(attribute='node.name') | list -%}
    {%- if execute and flags.WHICH in ['build', 'run'] and 'findings' in made and not is_sample() -%}
        {%- for text in warnings_of_this_run() -%}
            {%- do exceptions.warn(text) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}


{% macro warnings_of_this_run() -%}
    {%- set intake, staging, audit = working_schema('intake'), working_schema('staging'), working_schema('audit') -%}
    {%- set texts = [] -%}

    {#- the clock of this machine or of the source is wrong: a warning only, no figure depends on it -#}
    {%- set query = "select extract_name, newest_extracted_at from " ~ intake
        ~ ".delivery_totals where newest_extracted_at > " ~ utc_now()
        ~ " order by newest_extracted_at desc, extract_name limit 1" -%}
    {%- for row in run_query(query).rows -%}
        {%- do texts.append(
            "The newest extracted_at of " ~ row[0] ~ ", " ~ row[1]
            ~ " UTC, is later than this machine's clock. It is used unchanged: if it is wrong, the current "
            ~ "month is wrong, too."
        ) -%}
    {%- endfor -%}

    {%- set query = "select count(*), min(file_name), min(extracted_at) from " ~ intake
        ~ ".rejected_rows where reason = 'unconfirmed extracted_at'" -%}
    {%- set unconfirmed = run_query(query).rows[0] -%}
    {%- if unconfirmed[0] -%}
        {%- do texts.append(
            unconfirmed[0] ~ " rows are quarantined, such as one of " ~ unconfirmed[1]
            ~ ": their extracted_at (" ~ unconfirmed[2]
            ~ ") is more than " ~ var('unconfirmed_after_days') ~ " days after those of all other files."
            ~ " They are used once another file confirms it."
        ) -%}
    {%- endif -%}

    {%- set query = "select count(*), min(subject), min(detail) from " ~ staging ~ ".stg_term_corrections where "
        ~ is_new_load() -%}
    {%- set corrections = run_query(query).rows[0] -%}
    {%- if corrections[0] -%}
        {%- do texts.append(
            corrections[0] ~ " corrections of the past change earlier figures, such as " ~ corrections[1] ~ ": "
            ~ corrections[2] ~ ". See audit.findings, 'correction of the past'."
        ) -%}
    {%- endif -%}

    {%- do texts.extend(warnings_of_as_of_date()) -%}

    {#- a gap that is too old to be filled is reported only once -#}
    {%- set recent = "true" if is_whole_run()
        else "last_date >= (select as_of_date - interval '31' day from " ~ intake ~ ".as_of)" -%}
    {%- set query = "select count(*), sum(missing_days), max(last_date) from " ~ audit ~ ".coverage_gaps where "
        ~ recent -%}
    {%- set gaps = run_query(query).rows[0] -%}
    {%- if gaps[0] -%}
        {%- do texts.append(
            "No customer has a job on " ~ gaps[1] ~ " days that usually have some, the last of them " ~ gaps[2]
            ~ ". Is an extract of jobs missing? See audit.coverage_gaps; the usage of these days is shown as 0."
        ) -%}
    {%- endif -%}

    {%- set query = "select finding, count(*), min(subject), min(detail) from " ~ audit
        ~ ".findings where finding in ('every step failed', 'trigger without adapter', 'completion time missing',"
        ~ " 'id without counterpart', 'in no listing', 'unexplained usage') group by finding order by finding" -%}
    {%- for row in run_query(query).rows -%}
        {%- do texts.append(
            "audit.findings has " ~ row[1] ~ " of '" ~ row[0] ~ "', such as " ~ row[2] ~ ": " ~ row[3] ~ "."
        ) -%}
    {%- endfor -%}
    {{ return(texts) }}
{%- endmacro %}


{% macro warnings_of_as_of_date() -%}
    {%- set texts, given = [], as_of_option() -%}
    {%- if given -%}
        {%- set newest = "cast(max(newest_extracted_at) as date)" -%}
        {%- set query = "select " ~ newest ~ ", " ~ newest ~ " < cast(" ~ literal(given) ~ " as date) - interval '"
            ~ var('unconfirmed_after_days') ~ "' day from " ~ working_schema('intake') ~ ".delivery_totals" -%}
        {%- set found = run_query(query).rows[0] -%}
        {%- if found[1] -%}
            {%- do texts.append(
                "AS_OF_DATE is " ~ given ~ ", and the newest extracted_at is of " ~ found[0]
                ~ ": up to that date usage is shown as 0."
            ) -%}
        {%- endif -%}
        {%- if not run_query("select count(*) from " ~ working_schema('marts') ~ ".monthly_customer_usage").rows[0][0]
            | int -%}
            {%- do texts.append(
                "AS_OF_DATE is " ~ given ~ ", before the first customer: the marts are empty."
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(texts) }}
{%- endmacro %}
