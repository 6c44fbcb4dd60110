{#- None of the columns is ever null: the not_null constraints of a model that is a view, in one reading of it. of_changed:
    the scope by which runs replace the rows that the view reads. -#}
{% test never_null(model, columns, of_changed=none) %}

select *
from {{ model }}
where
    ({{ columns | join(' is null or ') }} is null)
    {% if of_changed -%}
        and {{ in_replaced(of_changed) }}
    {%- endif %}

{% endtest %}
