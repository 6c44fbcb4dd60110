{{ replaces('steps') }}

with

-- Compares hashes, which is fast: jobs with steps and without a delivery.
candidates as (

    select job_hash from {{ ref('step_positions_this_run') }}
    except
    select job_hash from {{ ref('delivered_jobs') }}
    where {{ in_this_run('steps') }}

),

steps as (

    select * from {{ ref('readable_steps') }}
    where
        extract_name = 'steps'
        and job_hash in (select candidates.job_hash from candidates)

),

jobs as (

    select
        customer_id,
        job_id
    from {{ ref('stg_jobs') }}

),

-- A step is quarantined until its job is usable, also if the job's own row is quarantined.
stg_steps_without_job as (

    select
        steps.*,
        steps.customer_id as account_id
    from steps
    left join jobs
        on
            steps.customer_id = jobs.customer_id
            and steps.job_id = jobs.job_id
    where jobs.job_id is null

)

select
    job_hash,
    file_name,
    {{ row_as_json([
        'account_id', 'job_id', 'line_index', 'recipe_line_number', 'adapter_name', 'adapter_operation', 'keyword',
        'status', 'error', 'page_count', 'message_count', 'called_recipe_id', 'duration_seconds', 'extracted_at',
    ]) }} as row_content
from stg_steps_without_job
