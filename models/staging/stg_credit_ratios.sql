with

base_credit_ratios as (

    select * from {{ ref('base_credit_ratios') }}

),

-- Of several rows with the same key the greater one as text wins.
ranked as (

    select
        *,
        row_number() over (
            partition by metric, call_type, effective_from
            order by
                {{ row_text(['credits_per_unit', 'effective_to']) }} desc
        ) as delivery_rank

    from base_credit_ratios
    where quarantine_reason is null

),

stg_credit_ratios as (

    select
        metric,
        call_type,
        credits_per_unit,
        effective_from,
        effective_to

    from ranked
    where delivery_rank = 1

)

select * from stg_credit_ratios
