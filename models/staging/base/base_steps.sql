with

extracted as (

    select * from {{ extract('steps') }}

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
        {{ to_whole_number('line_index') }} as read_line_index,
        {{ to_whole_number('recipe_line_number') }} as read_recipe_line_number,
        {{ to_whole_number('page_count') }} as read_page_count,
        {{ to_whole_number('message_count') }} as read_message_count,
        try_cast(extracted.duration_seconds as decimal(18, 6)) as read_duration_seconds,
        {{ to_utc('extracted_at') }} as read_extracted_at

    from extracted
    left join status_words on lower(extracted.status) = status_words.status_word

),

judged as (

    select
        *,
        {{ quarantine_reason('steps') }} as quarantine_reason

    from parsed

),

base_steps as (

    select
        -- ids
        {{ row_hash(['account_id', 'job_id']) }} as job_hash,
        account_id as customer_id,
        job_id,
        called_recipe_id,

        -- what it is
        read_line_index as line_index,
        read_recipe_line_number as recipe_line_number,
        adapter_name,
        adapter_operation,
        keyword,
        read_status as status,
        error,
        read_page_count as page_count,
        read_message_count as message_count,
        read_duration_seconds as duration_seconds,

        -- times
        read_extracted_at as extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('steps') }} end as row_content

    from judged

)

select * from base_steps
