{{ replaces('load') }}

with

delivered_jobs as (

    select
        extract_name,
        job_hash,
        case
            when calling_job_id is not null then {{ row_hash(['customer_id', 'calling_job_id']) }}
        end as calling_job_hash,
        {{ row_hash(['customer_id', 'recipe_id']) }} as recipe_hash,
        case
            when root_recipe_id is not null then {{ row_hash(['customer_id', 'root_recipe_id']) }}
        end as root_recipe_hash,
        {{ local_date('completed_at') }} as usage_date,
        load_id,
        file_name,
        extracted_at
    from {{ ref('base_jobs') }}
    where quarantine_reason is null

)

select * from delivered_jobs
