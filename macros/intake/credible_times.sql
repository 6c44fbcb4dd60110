{% macro extracts_with_times() -%}
    {{ return([
        'customers', 'recipes', 'connections', 'jobs', 'api_requests', 'api_collections', 'event_stream_requests',
        'genie_prompts', 'seats', 'subscriptions', 'credit_ratios', 'vendor_usage',
    ]) }}
{%- endmacro %}


{% macro times_of_files(is_laid=false) -%}
    with

    times as (
        {% for name in extracts_with_times() %}
            select
                '{{ name }}' as extract_name,
                load_id,
                file_name,
                extracted_at
            from {{ 'extracts.' ~ name if is_laid else extract(name) }}
            where {{ is_new_load() }}

            union all
        {% endfor %}
        select
            'job_history' as extract_name,
            load_id,
            file_name,
            {{ read_text_as('timestamp', 'text_extracted_at') }} as extracted_at
        from (
            select
                load_id,
                file_name,
                coalesce(
                    {{ without_null_mark(json_text('entry', 'extracted_at')) }},
                    case
                        when event_kind = 'job' then {{ without_null_mark(json_text('entry', 'completed_at')) }}
                        else {{ first_json_text('entry', api_log_fields().requested_at) }}
                    end
                ) as text_extracted_at
            from ({{ streamed_events('extracts.job_history' if is_laid else extract('job_history')) }}) as events
            where
                is_readable
                and event_kind <> 'other'
                and {{ is_new_load() }}
        ) as streamed

    ),

    by_file as (

        select
            extract_name,
            load_id,
            file_name,
            cast(extracted_at as date) as extracted_on,
            min(extracted_at) as oldest_at,
            max(extracted_at) as newest_at
        from times
        where extracted_at is not null
        group by extract_name, load_id, file_name, extracted_on

    ),

    ranked as (

        select
            *,
            row_number() over (
                partition by extract_name, load_id, extracted_on order by newest_at desc, file_name asc
            ) as file_rank
        from by_file

    )

    select
        extract_name,
        load_id,
        file_name,
        extracted_on,
        oldest_at,
        newest_at
    from ranked
    where file_rank <= 2
{%- endmacro %}


{% macro credible_until(times) -%}
    {%- set seconds = (var('unconfirmed_after_days') | float * 86400) | round | int -%}
    with

    instants as (

        select
            file_name,
            oldest_at as said_at
        from {{ times }} as times

        union

        select
            file_name,
            newest_at as said_at
        from {{ times }} as times

    ),

    instants_with_files as (

        select
            said_at,
            min(file_name) over following_days as first_file,
            max(file_name) over following_days as last_file
        from instants
        window following_days as (
            order by said_at asc
            range between current row and interval '{{ seconds }}' second following
        )

    ),

    newest_by_file as (

        select
            file_name,
            max(said_at) as newest_at
        from instants
        group by file_name

    ),

    ranked as (

        select
            newest_at,
            row_number() over (order by newest_at desc, file_name asc) as file_rank
        from newest_by_file

    ),

    bases as (

        select
            (select max(said_at) from instants_with_files where first_file <> last_file) as confirmed_at,
            (select max(newest_at) from ranked where file_rank = 2) as second_at

    )

    select coalesce(confirmed_at, second_at) + interval '{{ seconds }}' second as credible_until
    from bases
{%- endmacro %}


{% macro is_credibility_changed() -%}
    {%- set base, intake = working_schema('base'), working_schema('intake') -%}
    {%- set all_times -%}
        (
            select file_name, oldest_at, newest_at from {{ base }}.base_file_times where not {{ is_new_load() }}
            union all
            select file_name, oldest_at, newest_at from ({{ times_of_files(is_laid=true) }}) as new_times
        )
    {%- endset -%}
    {%- set changed -%}
        select count(*) from ({{ credible_until(all_times) }}) as credible
        where exists (
            select 1 from {{ intake }}.rejected_rows
            where
                reason in ('unconfirmed extracted_at', '{{ erased_reasons()[1] }}')
                and (credible_until is null or extracted_at <= credible_until)
                and not {{ is_new_load() }}
        )
        or exists (
            select 1 from {{ intake }}.delivery_totals
            where newest_extracted_at > credible_until and not {{ is_new_load() }}
        )
    {%- endset -%}
    {{ return(run_query(changed).columns[0].values()[0] > 0) }}
{%- endmacro %}
