with

readable_steps as (

    select
        customer_id,
        job_id,
        called_recipe_id,
        line_index,
        recipe_line_number,
        adapter_name,
        adapter_operation,
        keyword,
        status,
        error,
        page_count,
        message_count,
        duration_seconds,
        extracted_at,
        'steps' as extract_name
    from {{ ref('base_steps') }}
    where quarantine_reason is null

    union all

    select
        customer_id,
        job_id,
        called_recipe_id,
        line_index,
        recipe_line_number,
        adapter_name,
        adapter_operation,
        keyword,
        status,
        error,
        page_count,
        message_count,
        duration_seconds,
        extracted_at,
        'job_history_lines' as extract_name
    from {{ ref('base_job_history_lines') }}
    where quarantine_reason is null

),

-- Apart from the rows: DuckDB would write out a CTE that is read more than once.
positions as (

    select
        customer_id,
        job_id,
        line_index
    from {{ ref('base_steps') }}
    where quarantine_reason is null

    union all

    select
        customer_id,
        job_id,
        line_index
    from {{ ref('base_job_history_lines') }}
    where quarantine_reason is null

),

stg_jobs as (

    select * from {{ ref('stg_jobs') }}

),

repeated_jobs as (

    select * from {{ ref('repeated_jobs') }}

),

-- A bit for each position of a job, 64 positions a group: a group with more rows than bits holds a position twice.
-- This is the one look at all steps; only the jobs that it finds, and those delivered repeatedly, are put in order.
colliding_groups as (

    select {{ row_hash(['customer_id', 'job_id']) }} as job_hash
    from positions
    group by job_hash, floor(line_index / 64)
    having count(*) > {{ distinct_small_numbers('line_index % 64') }}

),

affected_hashes as (

    select job_hash from colliding_groups
    union
    select {{ row_hash(['customer_id', 'job_id']) }} as job_hash from repeated_jobs

),

deliveries as (

    select distinct
        customer_id,
        job_id,
        extracted_at
    from repeated_jobs

),

-- A step belongs to the delivery with its extracted_at; where none has it, to the latest one.
placed as (

    select
        readable_steps.*,
        readable_steps.extracted_at = stg_jobs.extracted_at as is_of_latest,
        deliveries.job_id is not null and readable_steps.extracted_at <> stg_jobs.extracted_at as is_superseded

    from readable_steps
    inner join stg_jobs
        on
            readable_steps.customer_id = stg_jobs.customer_id
            and readable_steps.job_id = stg_jobs.job_id
    left join deliveries
        on
            readable_steps.customer_id = deliveries.customer_id
            and readable_steps.job_id = deliveries.job_id
            and readable_steps.extracted_at = deliveries.extracted_at
    where
        {{ row_hash(['readable_steps.customer_id', 'readable_steps.job_id']) }}
        in (select affected_hashes.job_hash from affected_hashes)

),

-- At a position the latest delivery's own step wins, then the latest stray one, then the greater row as text.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, job_id, line_index
            order by
                is_superseded asc,
                is_of_latest desc,
                extracted_at desc,
                {{ row_text([
                    'recipe_line_number', 'adapter_name', 'adapter_operation', 'keyword',
                    'status', 'error', 'page_count', 'message_count', 'called_recipe_id',
                    'duration_seconds',
                ]) }} desc
        ) as position_rank

    from placed

),

repeated_steps as (

    select
        customer_id,
        job_id,
        called_recipe_id,
        line_index,
        recipe_line_number,
        adapter_name,
        adapter_operation,
        keyword,
        status,
        error,
        page_count,
        message_count,
        duration_seconds,
        extracted_at,
        extract_name,
        position_rank,
        not is_superseded and position_rank = 1 as is_latest

    from ranked

)

select * from repeated_steps
