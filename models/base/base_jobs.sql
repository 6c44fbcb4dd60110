with

flat as (

    select
        *,
        'jobs' as extract_name,
        cast(null as string) as lines,
        cast(null as string) as entry,
        true as is_readable
    from {{ extract('jobs') }}

),

streamed_texts as (

    select
        *,
        'job_history' as extract_name
    from {{ ref('base_streamed_jobs') }}

),

deliveries as (

    select * from flat

    union all

    {{ rows_of_texts('jobs', 'streamed_texts', keep=['extract_name', 'lines', 'entry', 'is_readable']) }}

),

status_words as (

    select
        raw_status,
        status as read_status
    from {{ ref('status_words') }}

),

-- Words and dates as the contract defines them; null if they cannot be read.
parsed as (

    select
        deliveries.*,
        status_words.read_status

    from deliveries
    left join status_words on lower(deliveries.status) = status_words.raw_status

),

checked as (

    select
        *,
        case
            when not is_readable then 'unreadable record'
            else {{ quarantine_reason('jobs') }}
        end as quarantine_reason

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
        coalesce(is_repeat, false) as is_repeat,
        repeat_count,
        coalesce(is_test, false) as is_test,
        coalesce(is_poll_error, false) as is_poll_error,
        action_count,
        error_type,
        {{ error_text('error') }} as error,

        -- times
        started_at,
        completed_at,
        extracted_at,

        -- the executed lines of a streamed job
        lines,

        -- where it comes from, and whether it can be used
        extract_name,
        load_id,
        file_name,
        quarantine_reason,
        case
            when quarantine_reason is null then null
            when extract_name = 'job_history' then entry
            else {{ row_content('jobs') }}
        end as row_content

    from checked

)

select * from base_jobs
