{#- The tiers of each set of terms are numbered from 1 on, and a higher one begins with more tasks. -#}
{% test tiers_are_in_order(model) %}

select *
from (
    select
        *,
        lag(more_than_tasks) over (partition by terms order by tier) as lower_bound,
        row_number() over (partition by terms order by tier) as position
    from {{ model }}
) as tiers
where
    tier is distinct from position
    or more_than_tasks < 0
    or more_than_tasks <= lower_bound

{% endtest %}
