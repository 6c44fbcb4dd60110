{#- The columns name a row of the model: no two rows agree in all of them, null counting as a value. of_changed: the scope
    by which runs replace the model's rows. All other rows stood in an earlier run, and were tested there. -#}
{% test unique_grain(model, columns, of_changed=none) %}

select
    {{ columns | join(', ') }},
    count(*) as rows_of_one_grain
from {{ model }}
{% if of_changed -%}
    where {{ in_replaced(of_changed) }}
{%- endif %}
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}
