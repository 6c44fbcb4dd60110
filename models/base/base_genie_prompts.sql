with

extracted as (

    select * from {{ extract('genie_prompts') }}

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
        extracted.*,
        status_words.read_status

    from extracted
    left join status_words on lower(extracted.status) = status_words.raw_status

),

checked as (

    select
        *,
        {{ quarantine_reason('genie_prompts') }} as quarantine_reason

    from parsed

),

base_genie_prompts as (

    select
        -- ids
        {{ row_hash(["'genie_prompts'", 'account_id', 'id']) }} as request_hash,
        id as prompt_id,
        account_id as customer_id,
        genie_id,
        conversation_id,

        -- what it is
        sender_type,
        read_status as status,

        -- times
        sent_at,
        extracted_at,

        -- where it comes from, and whether it can be used
        load_id,
        file_name,
        quarantine_reason,
        case when quarantine_reason is not null then {{ row_content('genie_prompts') }} end as row_content

    from checked

)

select * from base_genie_prompts
