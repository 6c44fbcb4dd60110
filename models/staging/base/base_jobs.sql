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

-- Each value as the contract's type; null where it can't be read.
parsed as (

    select
        extracted.*,
        status_words.read_status,
        {{ to_boolean('extracted.is_repeat') }} as read_is_repeat,
        {{ to_whole_number('repeat_count') }} as read_repeat_count,
        {{ to_boolean('extracted.is_test') }} as read_is_test,
        {{ to_boolean('extracted.is_poll_error') }} as read_is_poll_error,
        {{ to_utc('started_at') }} as read_started_at,
        {{ to_utc('completed_at') }} as read_completed_at,
        {{ to_whole_number('action_count') }} as read_action_count,
        {{ to_utc('extracted_at') }} as read_extracted_at

    from extracted
    left join status_words on lower(extracted.status) = status_words.status_word

),

judged as (

    select
        *,
        {{ quarantine_reason('jobs') }} as quarantine_reason

    from parsed

),

base_jobs as (

    select
        -- ids
        {{ row_hash(['account_id', 'id']) }} as job_hash,
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
        coalesce(read_is_repeat, false) as is_repeat,
        read_repeat_count as repeat_count,
        coalesce(read_is_test, false) as is_test,
        coalesce(read_is_poll_error, false) as is_poll_error,
        read_action_count as action_count,
        error_type,
        error,

        -- times
        read_started_at as started_at,
        read_completed_at as completed_at,
        read_extracted_at as extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('jobs') }} end as row_content

    from judged

)

select * from base_jobs
