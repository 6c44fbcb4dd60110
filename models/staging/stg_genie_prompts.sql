with

base_genie_prompts as (

    select * from {{ ref('base_genie_prompts') }}

),

-- The latest delivery wins; of two with the same time, the greater row as text.
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, prompt_id
            order by
                extracted_at desc,
                {{ tiebreak_text(['genie_id', 'conversation_id', 'sender_type', 'sent_at', 'status']) }} desc
        ) as delivery_rank

    from base_genie_prompts
    where
        quarantine_reason is null
        and {{ delivered_in_this_run('request') }}

),

stg_genie_prompts as (

    select
        request_hash,
        prompt_id,
        customer_id,
        genie_id,
        conversation_id,
        sender_type,
        status,
        sent_at,
        extracted_at

    from ranked
    where delivery_rank = 1

)

select * from stg_genie_prompts
