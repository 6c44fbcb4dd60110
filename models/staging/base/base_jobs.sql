with

extracted as (

    select * from {{ extract('jobs') }}

),

status_words as (

    select
        word as status_word,
        status as read_status
    from {{ ref('status_words') }}

),

judged as (

    select
        extracted.*,
        status_words.read_status,
        {{ quarantine_reason('jobs') }} as quarantine_reason

    from extracted
    left join status_words on lower(extracted.status) = status_words.status_word

),

base_jobs as (

    select
        -- ids
        id as job_id,
        account_id as customer_id,
        recipe_id,
        master_job_id,
        calling_job_id,
        calling_recipe_id,
        root_job_id,
        root_recipe_id,

        -- what it is
        environment_type,
        read_status as status,
        coalesce(try_cast(is_repeat as boolean), false) as is_repeat,
        {{ to_whole_number('repeat_count') }} as repeat_count,
        coalesce(try_cast(is_test as boolean), false) as is_test,
        coalesce(try_cast(is_poll_error as boolean), false) as is_poll_error,
        {{ to_whole_number('action_count') }} as action_count,
        error_type,
        error,

        -- times
        {{ to_utc('started_at') }} as started_at,
        {{ to_utc('completed_at') }} as completed_at,
        {{ to_utc('extracted_at') }} as extracted_at,

        -- where it comes from, and whether it can be used
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('jobs') }} end as row_content

    from judged

)

select * from base_jobs
