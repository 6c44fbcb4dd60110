{{ replaces('steps') }}

with

stg_jobs as (

    select * from {{ ref('stg_jobs') }}

),

repeated_jobs as (

    select * from {{ ref('repeated_jobs') }}

),

-- A block with more steps than bits in its bitmap has a position more than once. Only jobs with such a block, and jobs
-- delivered repeatedly, are ranked.
colliding_jobs as (

    select job_hash
    from {{ ref('step_positions_this_run') }}
    group by job_hash, position_block
    having sum(steps) > bit_count(bit_or(positions))

),

affected_hashes as (

    select job_hash from colliding_jobs
    union
    select {{ row_hash(['customer_id', 'job_id']) }} as job_hash from repeated_jobs

),

affected_steps as (

    select * from {{ ref('readable_steps') }}
    where {{ row_hash(['customer_id', 'job_id']) }} in (select affected_hashes.job_hash from affected_hashes)

),

deliveries as (

    select distinct
        customer_id,
        job_id,
        extracted_at
    from repeated_jobs

),

-- A step belongs to the delivery with its extracted_at; if no delivery has it, to the latest one.
assigned_steps as (

    select
        affected_steps.*,
        affected_steps.extracted_at = stg_jobs.extracted_at as is_own_delivery,
        deliveries.job_id is not null and affected_steps.extracted_at <> stg_jobs.extracted_at as is_superseded

    from affected_steps
    inner join stg_jobs
        on
            affected_steps.customer_id = stg_jobs.customer_id
            and affected_steps.job_id = stg_jobs.job_id
    left join deliveries
        on
            affected_steps.customer_id = deliveries.customer_id
            and affected_steps.job_id = deliveries.job_id
            and affected_steps.extracted_at = deliveries.extracted_at

),

-- At a position the latest delivery's own step wins, then the latest other step, then the greater row as text. If all
-- these are equal, the extract's name decides; no figure depends on it.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, job_id, line_index
            order by
                is_superseded asc,
                is_own_delivery desc,
                extracted_at desc,
                {{ tiebreak_text([
                    'recipe_line_number', 'adapter_name', 'adapter_operation', 'keyword',
                    'status', 'error', 'page_count', 'message_count', 'called_recipe_id',
                    'duration_seconds',
                ]) }} desc,
                extract_name asc
        ) as position_rank

    from assigned_steps

),

repeated_steps as (

    select
        job_hash,
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
        cast(position_rank as bigint) as position_rank,
        not is_superseded and position_rank = 1 as is_winning_delivery

    from ranked

)

select * from repeated_steps
