with

flat as (

    select
        *,
        'steps' as extract_name,
        cast(null as string) as entry
    from {{ extract('steps') }}

),

streamed_texts as (

    select
        *,
        'job_history_lines' as extract_name
    from {{ ref('base_streamed_steps') }}
    where {{ is_load_to_parse() }}

),

deliveries as (

    select * from flat

    union all

    {{ rows_of_texts(
        'steps', 'streamed_texts',
        typed=['line_index', 'message_count', 'extracted_at'],
        keep=['extract_name', 'entry'],
    ) }}

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
        line_index,
        recipe_line_number,
        adapter_name,
        adapter_operation,
        keyword,
        read_status as status,
        {{ error_text('error') }} as error,
        page_count,
        message_count,
        duration_seconds,

        -- times
        extracted_at,

        -- where it comes from, and whether it can be used
        extract_name,
        load_id,
        file_name,
        quarantine_reason,
        case
            when quarantine_reason is null then null
            when extract_name = 'job_history_lines' then entry
            else {{ row_content('steps') }}
        end as row_content

    from checked

)

select * from base_steps
