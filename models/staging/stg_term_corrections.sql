with

of_seats as (

    {{ corrections_of_terms('seats', "'seat order ' || delivered.seat_order_id") }}

),

of_subscriptions as (

    {{ corrections_of_terms(
        'subscriptions',
        "'subscription from ' || cast(delivered.effective_from as string)"
    ) }}

),

of_credit_ratios as (

    {{ corrections_of_terms(
        'credit_ratios',
        "'ratio of ' || delivered.metric || coalesce(' ' || delivered.call_type, '') || coalesce(' under ' || delivered.terms, '')"
        ~ " || ' from ' || cast(delivered.effective_from as string)"
    ) }}

),

stg_term_corrections as (

    select * from of_seats
    union all
    select * from of_subscriptions
    union all
    select * from of_credit_ratios

)

select * from stg_term_corrections
