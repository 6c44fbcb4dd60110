{{ config(meta={'is_never_kept': true}) }}

with

closed_figures as (

    select * from {{ source('run_state', 'closed_figures') }}

),

usage_closes as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        quantity,
        closed_at,
        manifest_digest
    from closed_figures

)

select * from usage_closes
