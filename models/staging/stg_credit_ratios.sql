with

dated_terms as (

    {{ dated_terms('credit_ratios') }}

),

stg_credit_ratios as (

    select
        customer_id,
        terms,
        metric,
        call_type,
        credits_per_unit,
        ended_by,
        effective_from,
        effective_to,
        unlisted_on,
        extracted_at

    from dated_terms

)

select * from stg_credit_ratios
