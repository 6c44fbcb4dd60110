{#- The columns name a row of the model: no two rows agree in all of them, null counting as a value. of_changed: jobs or
    requests, where a run that brings up to date needs to look only at the rows of those that it computed. -#}
{% test unique_grain(model, columns, of_changed=none) %}

select
    {{ columns | join(', ') }},
    count(*) as rows_of_one_grain
from {{ model }}
{% if of_changed == 'jobs' -%}
    where {{ in_this_run('job') }}
{%- elif of_changed == 'requests' -%}
    where {{ in_this_run('request') }}
{%- endif %}
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}
