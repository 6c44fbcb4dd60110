{% macro is_covered(usage_month) -%}
    coalesce((select min(job_days.usage_date) from job_days) <= {{ usage_month }}, false)
{%- endmacro %}
