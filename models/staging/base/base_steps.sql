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

judged as (

    select
        extracted.*,
        status_words.read_status,
        {{ quarantine_reason('steps') }} as quarantine_reason

    from extracted
    left join status_words on lower(extracted.status) = status_words.status_word

),

base_steps as (

    select
        -- ids
        account_id as customer_id,
        job_id,
        called_recipe_id,

        -- what it is
        {{ to_whole_number('line_index') }} as line_index,
        {{ to_whole_number('recipe_line_number') }} as recipe_line_number,
        adapter_name,
        adapter_operation,
        keyword,
        read_status as status,
        error,
        {{ to_whole_number('page_count') }} as page_count,
        {{ to_whole_number('message_count') }} as message_count,
        try_cast(duration_seconds as decimal(18, 6)) as duration_seconds,

        -- times
        {{ to_utc('extracted_at') }} as extracted_at,

        -- where it comes from, and whether it can be used
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('steps') }} end as row_content

    from judged

)

select * from base_steps
