{{ config(materialized='incremental', incremental_strategy='by_changed_job') }}

-- stg_steps is read twice, by name: DuckDB would write out a CTE that is read more than once.
with

jobs as (

    select
        job_hash,
        customer_id,
        job_id,
        recipe_id,
        {{ rule_date(local_date('coalesce(completed_at, started_at)')) }} as rule_date
    from {{ ref('stg_jobs') }}

),

listed as (

    select * from {{ ref('recipe_types_listed') }}

),

recipe_types as (

    select * from {{ ref('recipe_types') }}

),

proxy_operations as (

    select * from {{ ref('proxy_operations') }}

),

control_keywords as (

    select * from {{ ref('control_keywords') }}

),

-- The listing knows better; where it says nothing, the job's own first line does.
listed_jobs as (

    select
        jobs.*,
        listed.recipe_type as listed_type,
        listed.read_from as listed_from

    from jobs
    left join listed
        on
            jobs.customer_id = listed.customer_id
            and jobs.recipe_id = listed.recipe_id

),

unlisted_jobs as (

    select * from listed_jobs
    where listed_type is null

),

first_lines as (

    select
        unlisted_jobs.customer_id,
        unlisted_jobs.job_id,
        unlisted_jobs.rule_date,
        steps.adapter_name as trigger_adapter,
        steps.adapter_operation as trigger_operation

    from {{ ref('stg_steps') }} as steps
    inner join unlisted_jobs
        on
            steps.customer_id = unlisted_jobs.customer_id
            and steps.job_id = unlisted_jobs.job_id
    where steps.line_index = 0

),

-- Without an operation the adapter alone decides.
job_triggers as (

    select
        first_lines.customer_id,
        first_lines.job_id,
        recipe_types.recipe_type

    from first_lines
    inner join recipe_types
        on
            first_lines.trigger_adapter = recipe_types.trigger_adapter
            and {{ is_in_force('recipe_types', 'first_lines.rule_date') }}
    where coalesce(first_lines.trigger_operation, recipe_types.trigger_operation) = recipe_types.trigger_operation

),

read as (

    select
        listed_jobs.job_hash,
        listed_jobs.customer_id,
        listed_jobs.job_id,
        listed_jobs.recipe_id,
        listed_jobs.rule_date,
        coalesce(listed_jobs.listed_type, job_triggers.recipe_type, 'workflow') as recipe_type,
        case
            when listed_jobs.listed_type is not null then listed_jobs.listed_from
            when job_triggers.recipe_type is not null then 'job'
            else 'default'
        end as read_from

    from listed_jobs
    left join job_triggers
        on
            listed_jobs.customer_id = job_triggers.customer_id
            and listed_jobs.job_id = job_triggers.job_id

),

proxy_jobs as (

    select
        customer_id,
        job_id,
        rule_date
    from read
    where
        recipe_type = 'api_proxy'
        and read_from <> 'recipe_type'

),

-- A proxy job that ran anything beside forwarding and answering has transformed; failed steps ran too.
transformed as (

    select distinct
        proxy_jobs.customer_id,
        proxy_jobs.job_id

    from {{ ref('stg_steps') }} as steps
    inner join proxy_jobs
        on
            steps.customer_id = proxy_jobs.customer_id
            and steps.job_id = proxy_jobs.job_id
    left join control_keywords
        on
            lower(steps.keyword) = control_keywords.keyword
            and {{ is_in_force('control_keywords', 'proxy_jobs.rule_date') }}
    left join proxy_operations
        on
            steps.adapter_name = proxy_operations.adapter_name
            and steps.adapter_operation = proxy_operations.adapter_operation
            and {{ is_in_force('proxy_operations', 'proxy_jobs.rule_date') }}
    where
        steps.line_index > 0
        and steps.adapter_name is not null
        and steps.status is distinct from 'skipped'
        and control_keywords.keyword is null
        and proxy_operations.adapter_name is null

),

job_recipe_types as (

    select
        read.job_hash,
        read.customer_id,
        read.job_id,
        read.recipe_id,
        read.read_from,
        read.rule_date,
        case
            when transformed.job_id is not null then 'api_proxy_transformation'
            else read.recipe_type
        end as recipe_type

    from read
    left join transformed
        on
            read.customer_id = transformed.customer_id
            and read.job_id = transformed.job_id

)

select * from job_recipe_types
