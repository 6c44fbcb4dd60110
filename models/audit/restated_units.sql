{#- The database of the run before; none where no delivery can be the cause. -#}
{% set before = run_before() %}
{{ config(meta={'is_never_kept': true}) }}

with

restated_units as (
    {% if before %}
        {{ changed_units(before) }}
    {% else %}
        select
            cast(null as string) as customer_id,
            cast(null as string) as unit_kind,
            cast(null as string) as unit_id,
            cast(null as date) as usage_date,
            cast(null as string) as metric,
            cast(null as string) as call_type,
            cast(null as bigint) as retracted_quantity,
            cast(null as bigint) as restated_quantity,
            cast(null as string) as cause
        where false
    {% endif %}
)

select * from restated_units
