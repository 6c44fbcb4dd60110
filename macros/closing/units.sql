{#- Units of work of restated months, in this run and in the run before. -#}

{% macro in_database(database, relation) -%}
    {{ return((database ~ '.' if database else '') ~ relation.include(database=false)) }}
{%- endmacro %}


{#- Whether what only some terms count is compared, too. A run before of an older release does not know it by unit. -#}
{% macro compares_measures_of_terms() -%}
    {{ return(run_before_has('job_units', 'workflow_tasks_t3')) }}
{%- endmacro %}


{#- One hash of what each unit counts: most units of a run that recomputes everything count as before. -#}
{% macro unit_figures(database, dates) -%}
    {%- set of_jobs = [
        'jobs.usage_date', 'jobs.usage_date <= as_of.as_of_date', 'jobs.metric', 'jobs.call_type', 'jobs.quantity',
    ] + usage_metrics() -%}
    {%- set of_requests = [
        'requests.usage_date', 'requests.usage_date <= as_of.as_of_date', 'requests.metric', 'requests.call_type',
        'requests.quantity', 'requests.tasks',
    ] -%}
    {%- if compares_measures_of_terms() -%}
        {%- do of_jobs.append('job_units.workflow_tasks_t3') -%}
        {#- what a call over MCP invoked -#}
        {%- do of_jobs.append("case when jobs.metric = 'mcp_calls' then jobs.recipe_type end") -%}
        {%- do of_requests.append("case when requests.metric = 'mcp_calls' then requests.request_type end") -%}
    {%- endif -%}
    select
        jobs.job_hash as unit_hash,
        {{ row_hash(of_jobs) }} as figures
    from {{ in_database(database, ref('metered_jobs')) }} as jobs
    inner join {{ in_database(database, ref('job_units')) }} as job_units on jobs.job_hash = job_units.job_hash
    cross join {{ in_database(database, ref('as_of')) }} as as_of
    where
        not jobs.is_admin
        and {{ may_be_restated('jobs.usage_date', 'jobs.job_hash', dates) }}

    union all

    select
        requests.request_hash as unit_hash,
        {{ row_hash(of_requests) }} as figures
    from {{ in_database(database, ref('metered_requests')) }} as requests
    cross join {{ in_database(database, ref('as_of')) }} as as_of
    where
        not requests.is_admin
        and {{ may_be_restated('requests.usage_date', 'requests.request_hash', dates) }}
{%- endmacro %}


{% macro is_in_closed_month(usage_date) -%}
    cast(date_trunc('month', {{ usage_date }}) as date) in (
        select closed.usage_month from {{ source('run_state', 'closed_months') }} as closed
    )
{%- endmacro %}


{#- What these units count, by metric or measure of terms, and call type. -#}
{% macro counted_units(database, units) -%}
    {%- set has_measures = compares_measures_of_terms() -%}
    {%- set counted = usage_metrics() + (['workflow_tasks_t3'] if has_measures else []) -%}
    {%- set jobs = in_database(database, ref('metered_jobs')) -%}
    {%- set job_units = in_database(database, ref('job_units')) -%}
    {%- set requests = in_database(database, ref('metered_requests')) -%}
    with

    jobs as (

        select
            jobs.job_hash,
            jobs.customer_id,
            jobs.job_id,
            jobs.usage_date,
            jobs.metric as own_metric,
            jobs.call_type,
            jobs.quantity,
            {%- for metric in counted %}
            job_units.{{ metric }}{{ ',' if not loop.last }}
            {%- endfor %}

        from {{ jobs }} as jobs
        inner join {{ job_units }} as job_units on jobs.job_hash = job_units.job_hash
        where
            not jobs.is_admin
            and {{ is_in_closed_month('jobs.usage_date') }}
            and jobs.job_hash in (select units.unit_hash from {{ units }} as units)

    ),

    requests as (

        select requests.*
        from {{ requests }} as requests
        where
            not requests.is_admin
            and {{ is_in_closed_month('requests.usage_date') }}
            and requests.request_hash in (select units.unit_hash from {{ units }} as units)

    ),

    units as (
        {%- for metric in counted %}

        -- what the steps of a job count; below, what the job counts itself
        select
            'job' as unit_kind,
            job_hash as unit_hash,
            customer_id,
            job_id as unit_id,
            usage_date,
            '{{ metric }}' as metric,
            cast(null as string) as call_type,
            {{ metric }} - case when own_metric = '{{ metric }}' then quantity else 0 end as quantity
        from jobs
        where {{ metric }} > 0

        union all
        {%- endfor %}

        select
            'job' as unit_kind,
            job_hash as unit_hash,
            customer_id,
            job_id as unit_id,
            usage_date,
            own_metric as metric,
            call_type,
            quantity
        from jobs
        where own_metric is not null

        union all

        select
            'request' as unit_kind,
            request_hash as unit_hash,
            customer_id,
            request_id as unit_id,
            usage_date,
            metric,
            call_type,
            quantity
        from requests
        where metric is not null

        union all

        select
            'request' as unit_kind,
            request_hash as unit_hash,
            customer_id,
            request_id as unit_id,
            usage_date,
            'tasks' as metric,
            cast(null as string) as call_type,
            tasks as quantity
        from requests
        {%- if has_measures %}

        union all

        select
            unit_kind,
            unit_hash,
            customer_id,
            unit_id,
            usage_date,
            'api_calls_over_mcp' as metric,
            call_type,
            quantity
        from {{ in_database(database, ref('calls_over_mcp')) }}
        where
            not is_admin
            and {{ is_in_closed_month('usage_date') }}
            and unit_hash in (select units.unit_hash from {{ units }} as units)
        {%- endif %}

    )

    select
        unit_kind,
        unit_hash,
        customer_id,
        unit_id,
        usage_date,
        metric,
        call_type,
        sum(quantity) as quantity
    from units
    where usage_date <= (select as_of.as_of_date from {{ in_database(database, ref('as_of')) }} as as_of)
    group by unit_kind, unit_hash, customer_id, unit_id, usage_date, metric, call_type
    having sum(quantity) <> 0
{%- endmacro %}


{#- A run that recomputes only some units can change only those, if it follows the run with which it compares: the
    first and the last of their dates in closed months, as literals, which let the engine leave out other months. None:
    any date. -#}
{% macro restated_dates() -%}
    {%- if is_whole_run() or not follows_compared_run() -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set dates = run_query(
        "select min(first_date), max(last_date) from " ~ ref('affected_dates') ~ " as affected where exists ("
        ~ "select 1 from run_state.closed_months as closed where affected.last_date >= closed.usage_month"
        ~ " and affected.first_date < closed.usage_month + interval '1' month)"
    ).rows[0] -%}
    {{ return({'first': dates[0], 'last': dates[1]}) }}
{%- endmacro %}


{% macro may_be_restated(usage_date, unit_hash, dates) -%}
    {{ is_in_closed_month(usage_date) }}
    {%- if dates is not none %}
    {%- if dates.first is none %}
    and false
    {%- else %}
    and {{ usage_date }} between date '{{ dates.first }}' and date '{{ dates.last }}'
    and {{ unit_hash }} in (select units.unit_hash from {{ ref('units_this_run') }} as units)
    {%- endif %}
    {%- endif %}
{%- endmacro %}


{#- What was delivered of each unit, whatever it counts as. The time of its extraction is no content. -#}
{% macro unit_contents(database, units) -%}
    select
        'job' as unit_kind,
        jobs.job_hash as unit_hash,
        jobs.usage_date,
        {{ row_hash([
            'jobs.recipe_id', 'jobs.environment_type', 'jobs.calling_job_id', 'jobs.root_recipe_id', 'jobs.status',
            'jobs.is_repeat', 'jobs.is_test', 'jobs.is_poll_error', 'jobs.started_at', 'jobs.completed_at',
            'steps.step_contents',
        ]) }} as content
    from {{ in_database(database, ref('metered_jobs')) }} as jobs
    left join (
        select
            facts.job_hash,
            sum(cast({{ row_hash([
                'facts.line_index', 'profiles.adapter_name', 'profiles.adapter_operation', 'profiles.keyword',
                'profiles.is_trigger', 'profiles.outcome', 'facts.page_count', 'facts.message_count',
                'facts.called_recipe_id',
            ]) }} as decimal(38, 0))) as step_contents
        from {{ in_database(database, ref('step_facts')) }} as facts
        inner join {{ in_database(database, ref('step_profiles')) }} as profiles
            on facts.profile_id = profiles.profile_id
        where facts.job_hash in (select units.unit_hash from {{ units }} as units)
        group by facts.job_hash
    ) as steps on jobs.job_hash = steps.job_hash
    where jobs.job_hash in (select units.unit_hash from {{ units }} as units)

    union all

    select
        'request' as unit_kind,
        request_hash as unit_hash,
        usage_date,
        {{ row_hash(['recipe_id', 'job_id', 'requested_at', 'request_type', 'is_successful', 'quantity']) }} as content
    from {{ in_database(database, ref('metered_requests')) }}
    where request_hash in (select units.unit_hash from {{ units }} as units)
{%- endmacro %}


{% macro units_of_loads(loads) -%}
    {%- set is_of_loads = 'load_id in (' ~ loads ~ ')' if loads else 'false' -%}
    select
        'job' as unit_kind,
        job_hash as unit_hash
    from {{ ref('delivered_jobs') }}
    where {{ is_of_loads }}

    union

    select
        'job' as unit_kind,
        job_hash as unit_hash
    from {{ ref('delivered_steps') }}
    where {{ is_of_loads }}

    union

    select
        'request' as unit_kind,
        request_hash as unit_hash
    from {{ ref('delivered_requests') }}
    where {{ is_of_loads }}
{%- endmacro %}


{#- Units that this run counts otherwise than the run before, with the cause. -#}
{% macro changed_units(before) -%}
    {%- set loses_loads = restating('lost_a_load') -%}
    {%- set dates = restated_dates() -%}
    with

    restated as (

        select unit_hash
        from (
            {{ unit_figures(before, dates) }}

            union all

            {{ unit_figures(none, dates) }}
        ) as units
        group by unit_hash
        having count(*) = 1 or min(figures) <> max(figures)

    ),

    units_before as (

        {{ counted_units(before, 'restated') }}

    ),

    units_now as (

        {{ counted_units(none, 'restated') }}

    ),

    changed as (

        select
            unit_kind,
            unit_hash,
            customer_id,
            unit_id,
            usage_date,
            metric,
            call_type,
            cast(sum(quantity_before) as bigint) as retracted_quantity,
            cast(sum(quantity_now) as bigint) as restated_quantity
        from (
            select
                *,
                quantity as quantity_before,
                0 as quantity_now
            from units_before

            union all

            select
                *,
                0 as quantity_before,
                quantity as quantity_now
            from units_now
        ) as units
        group by unit_kind, unit_hash, customer_id, unit_id, usage_date, metric, call_type
        having sum(quantity_before) <> sum(quantity_now)

    ),

    contents_before as (

        {{ unit_contents(before, 'changed') }}

    ),

    contents_now as (

        {{ unit_contents(none, 'changed') }}

    ),

    {% if loses_loads %}
    -- What a new load delivers did not fall back to an older delivery.
    delivered as (

        {{ units_of_loads(restating('new_loads')) }}

    ),
    {% endif %}
    as_of_before as (

        select as_of_date from {{ in_database(before, ref('as_of')) }}

    ),

    as_of_now as (

        select as_of_date from {{ ref('as_of') }}

    )

    select
        changed.customer_id,
        changed.unit_kind,
        changed.unit_id,
        changed.usage_date,
        changed.metric,
        changed.call_type,
        changed.retracted_quantity,
        changed.restated_quantity,
        case
            when present.unit_hash is null then 'removed_load'
            when earlier.unit_hash is null then 'late_delivery'
            when earlier.content <> present.content
                then {% if loses_loads %}case when delivered.unit_hash is null then 'removed_load' else {% endif -%}
                    'replaced_delivery'{{ ' end' if loses_loads }}
            -- it was, or is, dated after the as-of date
            when changed.usage_date > (select as_of_before.as_of_date from as_of_before) then 'late_delivery'
            when changed.usage_date > (select as_of_now.as_of_date from as_of_now) then 'removed_load'
            else '{{ restating("last_cause") or "listing_change" }}'
        end as cause

    from changed
    left join contents_before as earlier
        on
            changed.unit_kind = earlier.unit_kind
            and changed.unit_hash = earlier.unit_hash
    left join contents_now as present
        on
            changed.unit_kind = present.unit_kind
            and changed.unit_hash = present.unit_hash
    {%- if loses_loads %}
    left join delivered
        on
            changed.unit_kind = delivered.unit_kind
            and changed.unit_hash = delivered.unit_hash
    {%- endif %}
{%- endmacro %}
