{{ replaces('job') }}

with

steps as (

    select * from {{ ref('described_steps') }}

),

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

    select * from {{ ref('effective_recipe_types') }}

),

proxy_operations as (

    select * from {{ ref('effective_proxy_operations') }}

),

control_keywords as (

    select * from {{ ref('effective_control_keywords') }}

),

listed_jobs as (

    select
        jobs.*,
        listed.recipe_type as listed_type,
        listed.type_override as listed_override,
        listed.type_source as listed_from

    from jobs
    left join listed
        on
            jobs.customer_id = listed.customer_id
            and jobs.recipe_id = listed.recipe_id

),

-- Jobs whose type depends on their own steps: no type is listed, or the listed type leaves it open.
open_jobs as (

    select * from listed_jobs
    where
        listed_type is null
        or (listed_type = 'api_proxy' and listed_from <> 'recipe_type')

),

-- The first line decides the type, by the adapter alone if it has no operation. A proxy job that ran any step besides
-- forwarding and answering is a transformation. Failed steps ran, too.
steps_read as (

    select
        steps.job_hash,
        recipe_types.recipe_type,
        recipe_types.rule_override as type_override,
        proxy_operations.rule_override as operation_override,
        (
            not steps.is_trigger
            and steps.adapter_name is not null
            and steps.outcome <> 'skipped'
            and control_keywords.keyword is null
            and proxy_operations.adapter_name is null
        ) as is_transforming

    from steps
    inner join open_jobs on steps.job_hash = open_jobs.job_hash
    left join recipe_types
        on
            case when steps.is_trigger then steps.adapter_name end = recipe_types.trigger_adapter
            and coalesce(steps.adapter_operation, recipe_types.trigger_operation) = recipe_types.trigger_operation
            and {{ is_in_force('recipe_types', 'open_jobs.rule_date') }}
    left join control_keywords
        on
            steps.keyword = control_keywords.keyword
            and {{ is_in_force('control_keywords', 'open_jobs.rule_date') }}
    left join proxy_operations
        on
            steps.adapter_name = proxy_operations.adapter_name
            and steps.adapter_operation = proxy_operations.adapter_operation
            and {{ is_in_force('proxy_operations', 'open_jobs.rule_date') }}

),

jobs_read as (

    select
        job_hash,
        max(recipe_type) as recipe_type,
        max(type_override) as type_override,
        max(operation_override) as operation_override,
        bool_or(is_transforming) as is_transforming
    from steps_read
    group by job_hash

),

-- The listed type takes precedence; without one, the job's own first line decides.
typed_jobs as (

    select
        listed_jobs.*,
        jobs_read.is_transforming,
        jobs_read.operation_override,
        case
            when listed_jobs.listed_type is not null then listed_jobs.listed_override
            else jobs_read.type_override
        end as type_override,
        coalesce(listed_jobs.listed_type, jobs_read.recipe_type, 'workflow') as read_type,
        case
            when listed_jobs.listed_type is not null then listed_jobs.listed_from
            when jobs_read.recipe_type is not null then 'job'
            else 'default'
        end as type_source

    from listed_jobs
    left join jobs_read on listed_jobs.job_hash = jobs_read.job_hash

),

job_recipe_types as (

    select
        job_hash,
        customer_id,
        job_id,
        recipe_id,
        type_source,
        rule_date,
        coalesce(type_override, case when read_type = 'api_proxy' then operation_override end) as type_override,
        case
            when read_type = 'api_proxy' and is_transforming then 'api_proxy_transformation'
            else read_type
        end as recipe_type
    from typed_jobs

)

select * from job_recipe_types
