with

in_force as (

    {{ terms_in_force() }}

),

known as (

    select * from {{ source('run_state', 'known_terms') }}

),

begun as (

    select * from in_force
    except
    select * from known

),

ended as (

    select * from known
    except
    select * from in_force

),

stg_term_changes as (

    select
        extract_name,
        customer_id,
        effective_from,
        effective_to,
        content
    from begun

    union all

    select
        extract_name,
        customer_id,
        effective_from,
        effective_to,
        content
    from ended

)

select * from stg_term_changes
