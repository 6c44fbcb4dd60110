{#- The column with the time of the usage, for extracts whose rows have one. -#}
{% set times = {
    'jobs': 'completed_at', 'job_history': 'completed_at', 'api_requests': 'requested_at',
    'event_stream_requests': 'requested_at', 'genie_prompts': 'sent_at',
} %}

with

newest as (

    select
        load_id,
        max(newest_extracted_at) as extracted_at
    from {{ ref('delivery_totals') }}
    group by load_id

),

jobs as (

    select * from {{ ref('metered_jobs') }}

),

requests as (

    select * from {{ ref('metered_requests') }}

),

-- The content of a record that cannot be read is no JSON.
rejected as (

    select
        rejected.extract_name,
        case when {{ is_json('rejected.row_content') }} then rejected.row_content end as row_content,
        rejected.extracted_at as said_at,
        coalesce(rejected.extracted_at, newest.extracted_at) as extracted_at
    from {{ ref('rejected_rows') }} as rejected
    left join newest on rejected.load_id = newest.load_id
    where not {{ is_erased_reason('rejected.reason') }}

    union all

    select
        'steps' as extract_name,
        row_content,
        {{ text_to_utc(json_text('row_content', 'extracted_at')) }} as said_at,
        {{ text_to_utc(json_text('row_content', 'extracted_at')) }} as extracted_at
    from {{ ref('stg_steps_without_job') }}

),

described as (

    select
        extract_name,
        said_at,
        extracted_at,
        {{ json_text('row_content', 'account_id') }} as customer_id,
        {{ json_text('row_content', 'id') }} as unit_id,
        {{ json_text('row_content', 'job_id') }} as job_id,
        {{ to_date(json_text('row_content', 'usage_month')) }} as reported_month,
        case extract_name
            {% for extract, column in times.items() %}
                when '{{ extract }}' then {{ text_to_utc(json_text('row_content', column)) }}
            {% endfor %}
        end as happened_at
    from rejected

),

-- A job or request that a row delivers as finished, at that time or later, is not missing.
missing as (

    select
        described.extract_name,
        described.extracted_at,
        coalesce(
            described.reported_month, {{ local_date('described.happened_at') }}, jobs_of_steps.usage_date
        ) as usage_date
    from described
    left join jobs as jobs_of_steps
        on
            described.customer_id = jobs_of_steps.customer_id
            and described.job_id = jobs_of_steps.job_id
    left join jobs as same_jobs
        on
            described.customer_id = same_jobs.customer_id
            and case
                when described.extract_name in ('jobs', 'job_history') then described.unit_id
            end = same_jobs.job_id
            and described.said_at <= same_jobs.extracted_at
            and same_jobs.is_finished
    left join requests as same_requests
        on
            described.extract_name = same_requests.extract_name
            and described.customer_id = same_requests.customer_id
            and described.unit_id = same_requests.request_id
            and described.said_at <= same_requests.extracted_at
    where
        same_jobs.job_id is null
        and same_requests.request_id is null

),

quarantined_usage as (

    select
        extract_name,
        cast(date_trunc('month', usage_date) as date) as usage_month,
        cast(date_trunc('month', {{ local_date('extracted_at') }}) as date) as delivered_in,
        count(*) as quarantined_rows
    from missing
    group by extract_name, date_trunc('month', usage_date), date_trunc('month', {{ local_date('extracted_at') }})

)

select * from quarantined_usage
