{{ replaces('job') }}
{% set attributes = [
    'environment_type', 'recipe_id', 'status', 'is_repeat', 'repeat_count', 'master_job_id', 'calling_job_id',
    'calling_recipe_id', 'root_job_id', 'root_recipe_id', 'is_test', 'is_poll_error', 'started_at', 'completed_at',
    'action_count', 'error_type',
] %}

-- readable_jobs is read twice by its name: a CTE that is read more than once would be materialized.
with

repeated_keys as (

    select {{ row_hash(['customer_id', 'job_id']) }} as key_hash
    from {{ ref('readable_jobs') }}
    group by key_hash
    having count(*) > 1

),

-- Only jobs that were delivered more than once (or share a hash with such a job) are ranked.
candidates as (

    select
        readable_jobs.*,
        {{ tiebreak_text(attributes + ['error']) }} as job_text,
        {{ tiebreak_text(attributes) }} as attributes_text,
        coalesce({{ is_compacted_text('readable_jobs.error') }}, false) as is_compacted,
        case
            when {{ is_compacted_text('readable_jobs.error') }} then null
            else coalesce(readable_jobs.error, '')
        end as error_text

    from {{ ref('readable_jobs') }} as readable_jobs
    where {{ row_hash(['customer_id', 'job_id']) }} in (select repeated_keys.key_hash from repeated_keys)

),

-- The latest delivery wins as a whole; of two with the same time the finished one, then the later completion, then the
-- greater row as text (G9). If all these are equal, the extract's name decides; no figure depends on it.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, job_id
            order by extracted_at desc, completed_at desc nulls last, job_text desc, extract_name asc
        ) as delivery_rank,
        count(*) over (partition by customer_id, job_id) as deliveries,
        min(attributes_text) over same_time as least_text,
        max(attributes_text) over same_time as greatest_text,
        min(error_text) over same_time as least_error,
        max(error_text) over same_time as greatest_error,
        max(case when is_compacted then 1 else 0 end) over same_time = 1 as has_compacted_error

    from candidates
    window same_time as (partition by customer_id, job_id, extracted_at)

),

repeated_jobs as (

    select
        job_hash,
        job_id,
        customer_id,
        recipe_id,
        master_job_id,
        calling_job_id,
        calling_recipe_id,
        root_job_id,
        root_recipe_id,
        environment_type,
        status,
        is_repeat,
        repeat_count,
        is_test,
        is_poll_error,
        action_count,
        error_type,
        error,
        started_at,
        completed_at,
        extracted_at,
        extract_name,
        cast(delivery_rank as bigint) as delivery_rank,
        delivery_rank = 1 as is_winning_delivery,
        -- a compacted error is as any other one, and differs from none
        least_text <> greatest_text
        or coalesce(least_error <> greatest_error, false)
        or coalesce(has_compacted_error and least_error = '', false) as is_contradictory

    from ranked
    where deliveries > 1

)

select * from repeated_jobs
