-- Fails only if the var unexplained_fail_share is set.
{% set limit = var('unexplained_fail_share') %}

with

unexplained as (

    select
        usage_month,
        customer_id,
        metric,
        abs(quantity) as quantity,
        greatest(our_quantity, vendor_quantity) as larger_quantity
    from {{ ref('usage_reconciliation') }}
    where cause = 'unexplained'

)

select * from unexplained
where
    {% if limit is none -%}
        false
    {%- else -%}
        quantity >= {{ var('unexplained_floor') }}
        and quantity > {{ limit }} * larger_quantity
    {%- endif %}
