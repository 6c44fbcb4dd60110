{#- For each key the rule rows' half-open periods follow one upon the other: from 1970 or before on, without a gap or an overlap,
    the last one open. With ``published``, a relation of the same key, keys that it lacks may have gaps: there the rules
    for what is not listed decide. ``may_have_gaps``: a condition of rows that may have some, too. -#}
{% test periods_without_gap_or_overlap(model, key, published=none, may_have_gaps='false') %}

with

{% if published %}
known as (

    select distinct
        {{ key | join(', ') }},
        true as is_known
    from {{ published }}

),
{% endif %}

neighbours as (

    select
        rules.*,
        lag(rules.effective_to) over (
            partition by rules.{{ key | join(', rules.') }} order by rules.effective_from
        ) as previous_effective_to,
        row_number() over (partition by rules.{{ key | join(', rules.') }} order by rules.effective_from) as first_rank,
        row_number() over (partition by rules.{{ key | join(', rules.') }} order by rules.effective_from desc) as last_rank,
        {{ 'known.is_known' if published else 'not (' ~ may_have_gaps ~ ')' }} as is_without_gap
    from {{ model }} as rules
    {% if published %}
    left join known
        on
            {% for column in key %}
            rules.{{ column }} is not distinct from known.{{ column }}{{ ' and' if not loop.last }}
            {% endfor %}
    {% endif %}

)

select *
from neighbours
where
    (is_without_gap and first_rank = 1 and coalesce(effective_from > cast('1970-01-01' as date), true))
    or (is_without_gap and first_rank > 1 and effective_from is distinct from previous_effective_to)
    or (is_without_gap and last_rank = 1 and effective_to is not null)
    or (first_rank > 1 and coalesce(effective_from < previous_effective_to, true))
    or effective_to <= effective_from

{% endtest %}
