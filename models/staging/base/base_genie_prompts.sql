with

extracted as (

    select * from {{ extract('genie_prompts') }}

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
        {{ quarantine_reason('genie_prompts') }} as quarantine_reason

    from extracted
    left join status_words on lower(extracted.status) = status_words.status_word

),

base_genie_prompts as (

    select
        -- ids
        id as prompt_id,
        account_id as customer_id,
        genie_id,
        conversation_id,

        -- what it is
        sender_type,
        read_status as status,

        -- times
        {{ to_utc('sent_at') }} as sent_at,
        {{ to_utc('extracted_at') }} as extracted_at,

        -- where it comes from, and whether it can be used
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('genie_prompts') }} end as row_content

    from judged

)

select * from base_genie_prompts
