{#- For each key the rule rows' half-open periods follow one upon the other: from 1970 on, without a gap or an overlap,
    the last one open. -#}
{% test periods_without_gap_or_overlap(model, key) %}

with

neighbours as (

    select
        *,
        lag(effective_to) over (
            partition by {{ key | join(', ') }} order by effective_from
        ) as previous_effective_to,
        row_number() over (partition by {{ key | join(', ') }} order by effective_from) as first_rank,
        row_number() over (partition by {{ key | join(', ') }} order by effective_from desc) as last_rank
    from {{ model }}

)

select *
from neighbours
where
    (first_rank = 1 and effective_from is distinct from cast('1970-01-01' as date))
    or (first_rank > 1 and effective_from is distinct from previous_effective_to)
    or (last_rank = 1 and effective_to is not null)
    or effective_to <= effective_from

{% endtest %}
