{#- For each key the half-open periods have a day at least, and no two share one. -#}
{% test periods_without_overlap(model, key, first_day, next_day) %}

select *
from (
    select
        *,
        lag({{ next_day }}) over (partition by {{ key }} order by {{ first_day }}) as previous_end
    from {{ model }}
) as periods
where
    {{ next_day }} <= {{ first_day }}
    or previous_end > {{ first_day }}

{% endtest %}
