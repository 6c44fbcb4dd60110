with

streamed as (

    select * from {{ extract('job_history') }}

),

status_words as (

    select
        word as status_word,
        status as read_status
    from {{ ref('status_words') }}

),

-- A file is the job itself, or wraps it, or a list of them, in logEntries.
unwrapped as (

    select
        load_id,
        file_name,
        record,
        case when {{ is_json('record') }} then coalesce({{ json_text('record', 'logEntries') }}, record) end as payload

    from streamed

),

listed as (

    {{ json_elements('unwrapped', 'payload', ['load_id', 'file_name']) }}

),

entries as (

    select
        load_id,
        file_name,
        element as entry
    from listed

    union all

    select
        load_id,
        file_name,
        coalesce(payload, record) as entry
    from unwrapped
    where not {{ is_json_array('payload') }}

),

readable as (

    select
        *,
        case when {{ is_json('entry') }} then entry end as readable_entry
    from entries

),

-- The job's fields as text, named as the extract jobs names them.
extracted as (

    select
        nullif({{ json_text('readable_entry', 'id') }}, '') as id,
        nullif({{ json_text('readable_entry', 'environment_type') }}, '') as environment_type,
        nullif({{ json_text('readable_entry', 'recipe_id') }}, '') as recipe_id,
        nullif({{ json_text('readable_entry', 'status') }}, '') as status,
        nullif({{ json_text('readable_entry', 'is_repeat') }}, '') as is_repeat,
        nullif({{ json_text('readable_entry', 'repeat_count') }}, '') as repeat_count,
        nullif({{ json_text('readable_entry', 'master_job_id') }}, '') as master_job_id,
        nullif({{ json_text('readable_entry', 'calling_job_id') }}, '') as calling_job_id,
        nullif({{ json_text('readable_entry', 'calling_recipe_id') }}, '') as calling_recipe_id,
        nullif({{ json_text('readable_entry', 'root_job_id') }}, '') as root_job_id,
        nullif({{ json_text('readable_entry', 'root_recipe_id') }}, '') as root_recipe_id,
        nullif({{ json_text('readable_entry', 'is_test') }}, '') as is_test,
        nullif({{ json_text('readable_entry', 'is_poll_error') }}, '') as is_poll_error,
        nullif({{ json_text('readable_entry', 'started_at') }}, '') as started_at,
        nullif({{ json_text('readable_entry', 'completed_at') }}, '') as completed_at,
        nullif({{ json_text('readable_entry', 'action_count') }}, '') as action_count,
        nullif({{ json_text('readable_entry', 'error_type') }}, '') as error_type,
        nullif({{ json_text('readable_entry', 'error') }}, '') as error,
        coalesce(
            nullif({{ json_text('readable_entry', 'account_id') }}, ''),
            -- the path of a streamed file starts with the customer's account id
            case when file_name like 'job_history/%/%' then split_part(file_name, '/', 2) end
        ) as account_id,
        coalesce(
            nullif({{ json_text('readable_entry', 'extracted_at') }}, ''),
            nullif({{ json_text('readable_entry', 'completed_at') }}, '')
        ) as extracted_at,
        {{ json_text('readable_entry', 'lines') }} as lines,
        readable_entry,
        entry,
        load_id,
        file_name

    from readable

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
        case
            when readable_entry is null then 'unreadable record'
            else {{ quarantine_reason('jobs') }}
        end as quarantine_reason

    from parsed

),

base_job_history as (

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

        -- the executed lines as a JSON array; null where they are missing or a text says that they were too large
        case when {{ is_json_array('lines') }} then lines end as lines,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then entry end as row_content

    from judged

)

select * from base_job_history
