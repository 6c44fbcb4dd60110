with

requests as (

    select * from {{ ref('metered_requests') }}

),

default_applied as (

    select
        'default applied' as finding,
        rule_id,
        customer_id,
        adapter_name as subject,
        case when metric is null then 'not counted' else 'counted' end || ' by default' as detail,
        cast(sum(steps) as bigint) as occurrences
    from {{ ref('monthly_rule_usage') }}
    where is_default_applied
    group by customer_id, adapter_name, metric, rule_id

),

unknown_recipe_type as (

    select
        'unknown recipe type' as finding,
        cast(null as string) as rule_id,
        customer_id,
        recipe_id as subject,
        'read as ' || coalesce(recipe_type, 'its jobs say') as detail,
        cast(1 as bigint) as occurrences
    from {{ ref('recipe_types_listed') }}
    where is_unknown_type

),

request_without_its_job as (

    select
        'request without its job' as finding,
        rule_id,
        customer_id,
        request_id as subject,
        'job ' || job_id || ' is in no extract' as detail,
        cast(1 as bigint) as occurrences
    from requests
    where rule_id = 'R-JOB' and not is_job_known

),

id_without_counterpart as (

    select
        'id without counterpart' as finding,
        cast(null as string) as rule_id,
        cast(null as string) as customer_id,
        column_name as subject,
        'none of its values is in ' || counterpart || coalesce(', such as ' || example, '')
        || '; there it is like ' || counterpart_example as detail,
        column_values as occurrences
    from {{ ref('unmatched_ids') }}

),

-- The listing may be incomplete. Entities that it lacks would count as deleted.
listing_sizes as (
    {% for extract in ['customers', 'recipes', 'connections'] %}
        select
            '{{ extract }}' as extract_name,
            extracted_at,
            count(*) as rows_listed,
            lag(count(*)) over (order by extracted_at) as rows_listed_before
        from {{ ref('stg_' ~ extract) }}
        group by extracted_at
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

shrunken_listing as (

    select
        'listing less than half as long' as finding,
        cast(null as string) as rule_id,
        cast(null as string) as customer_id,
        extract_name || ' of ' || cast(extracted_at as string) as subject,
        'holds ' || cast(rows_listed as string) || ', the one before ' || cast(rows_listed_before as string) as detail,
        rows_listed_before - rows_listed as occurrences
    from listing_sizes
    where 2 * rows_listed < rows_listed_before

),

-- Months before the first listing are reconstructed from this time.
authorization_time_missing as (

    select
        'authorization time missing' as finding,
        cast(null as string) as rule_id,
        customer_id,
        connection_id as subject,
        'connected in the first listing, in no month before it' as detail,
        cast(1 as bigint) as occurrences
    from {{ ref('connection_history') }}
    where
        authorization_status = 'success'
        and authorized_at is null
        and valid_from = (select min(first_listing.valid_from) from {{ ref('connection_history') }} as first_listing)

),

days_without_jobs as (

    select
        'days without jobs' as finding,
        cast(null as string) as rule_id,
        cast(null as string) as customer_id,
        cast(first_date as string)
        || case when is_open then ' on' else ' to ' || cast(last_date as string) end as subject,
        'no customer has a job on ' || cast(missing_days as string)
        || ' of these days, which usually have some' as detail,
        missing_days as occurrences
    from {{ ref('coverage_gaps') }}

),

first_job as (

    select cast(min(usage_date) as string) as completed_on
    from {{ ref('job_days') }}

),

-- In these months 0 means unknown.
months_before_the_first_job as (

    select
        'months before the first job' as finding,
        cast(null as string) as rule_id,
        cast(null as string) as customer_id,
        cast(min(months.usage_month) as string) || ' to ' || cast(max(months.usage_month) as string) as subject,
        'customers are known from then on, '
        || coalesce('jobs from ' || max(first_job.completed_on) || ' on', 'and no job') as detail,
        count(distinct months.usage_month) as occurrences
    from {{ ref('monthly_customer_usage') }} as months
    cross join first_job
    where not months.is_covered
    having count(*) > 0

),

-- Their texts are gone: what an error or the JSON of a step said is read no more.
compacted_loads as (

    select
        'compacted loads' as finding,
        cast(null as string) as rule_id,
        cast(null as string) as customer_id,
        'load ' || cast(min(load_id) as string)
        || case when count(*) > 1 then ' to ' || cast(max(load_id) as string) else '' end as subject,
        'facts are those of the day when they were compacted, the last on ' || substr(max(compacted_at), 1, 10)
        || '; a later change of what is read from texts does not reach them' as detail,
        count(*) as occurrences
    from {{ source('run_state', 'compacted_loads') }}
    having count(*) > 0

),

findings as (

    {% for part in [
        'shrunken_listing', 'days_without_jobs', 'months_before_the_first_job', 'compacted_loads',
        'authorization_time_missing', 'default_applied', 'unknown_recipe_type', 'request_without_its_job',
    ] %}
        select * from {{ part }}
        union all
    {% endfor %}
    select * from id_without_counterpart
    {% for part in [
        'job_findings', 'term_findings', 'contract_findings', 'reconciliation_findings', 'vendor_figure_findings',
    ] %}
        union all
        select
            finding,
            rule_id,
            customer_id,
            subject,
            detail,
            occurrences
        from {{ ref(part) }}
    {% endfor %}

)

select * from findings
