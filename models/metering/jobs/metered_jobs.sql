{{ replaces('job') }}

with

jobs as (

    select * from {{ ref('stg_jobs') }}

),

contexts as (

    select * from {{ ref('job_billing_contexts') }}

),

classified as (

    select
        jobs.*,
        contexts.recipe_type,
        contexts.billing_context,
        contexts.context_rule_id,
        contexts.context_override,
        contexts.own_metric,
        contexts.call_type as own_call_type,
        {{ local_date('jobs.completed_at') }} as usage_date,
        {{ rule_date(local_date('coalesce(jobs.completed_at, jobs.started_at)')) }} as rule_date,
        jobs.completed_at is not null as is_finished,
        jobs.is_poll_error or (jobs.is_test and not {{ boolean_option('count_test_jobs') }}) as is_excluded,
        jobs.status = 'succeeded' as is_successful

    from jobs
    inner join contexts
        on
            jobs.customer_id = contexts.customer_id
            and jobs.job_id = contexts.job_id

),

decided as (

    select
        *,
        case
            when not is_finished then 'G10'
            when is_excluded then 'G11'
            else context_rule_id
        end as rule_id,
        case when is_finished and not is_excluded then context_override end as rule_override,
        is_finished and not is_excluded and is_successful and own_metric is not null as is_counted

    from classified

),

quantified as (

    select
        *,
        cast(case when is_counted then 1 else 0 end as bigint) as quantity,
        case when is_counted then own_metric end as metric,
        case when is_counted then own_call_type end as call_type,
        case
            when not is_finished then 'unfinished job'
            when is_excluded then 'excluded job'
            else billing_context
        end as job_class

    from decided

),

metered_jobs as (

    select
        -- ids
        job_hash,
        {{ row_hash(['customer_id', 'recipe_id', 'environment_type']) }} as recipe_hash,
        customer_id,
        job_id,
        recipe_id,
        environment_type,
        calling_job_id,
        root_recipe_id,
        {{ is_admin_account('customer_id') }} as is_admin,

        -- how it is billed
        recipe_type,
        billing_context,
        context_rule_id,
        job_class,

        -- the decision on the job itself
        metric,
        call_type,
        quantity,
        rule_id,
        rule_override,

        -- what happened
        status,
        is_repeat,
        is_test,
        is_poll_error,
        is_finished,
        is_excluded,
        action_count,
        error,

        -- when
        started_at,
        completed_at,
        extracted_at,
        usage_date,
        rule_date

    from quantified

)

select * from metered_jobs
