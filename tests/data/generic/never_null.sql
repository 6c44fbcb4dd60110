{#- None of the columns is ever null: the not_null constraints of a model that is a view, in one reading of it. of_changed:
    dates, where a run that brings up to date needs to look only at the usage dates that it touched. -#}
{% test never_null(model, columns, of_changed=none) %}

select *
from {{ model }}
where
    ({{ columns | join(' is null or ') }} is null)
    {% if of_changed == 'dates' -%}
        and {{ in_affected('date') }}
    {%- endif %}

{% endtest %}
