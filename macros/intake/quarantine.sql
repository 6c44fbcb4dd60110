{% macro quarantine_reason(name) -%}
    {%- set base_credible_times = ref('base_credible_times') -%}
    case
    {%- if execute %}
        {#- Such a row has nothing but its times (plugins/erasing.py). -#}
        {%- if 'extracted_at' in extract_contract(name).columns %}
        when
            {{ is_erased(name) }}
            and extracted_at
            > (select base_credible_times.credible_until from {{ base_credible_times }} as base_credible_times)
            then '{{ erased_reasons()[1] }}'
        {%- endif %}
        when {{ is_erased(name) }} then '{{ erased_reasons()[0] }}'
    {%- for column in extract_contract(name).columns.values() %}
    {%- set terms = column.meta %}
    {%- if not terms.may_be_unreadable %}
        when unread_column = '{{ column.name }}' then 'unreadable {{ column.name }}'
    {%- endif %}
    {%- if terms.required and not terms.may_be_empty %}
        when {{ column.name }} is null then 'missing {{ column.name }}'
    {%- elif terms.required_without %}
        when {{ column.name }} is null and {{ terms.required_without }} is null then 'missing {{ column.name }}'
    {%- endif %}
    {%- if terms.is_status %}
        when {{ column.name }} is not null and read_{{ column.name }} is null then 'unknown {{ column.name }}'
    {%- elif terms.accepted_values %}
        when read_{{ column.name }} not in ('{{ terms.accepted_values | join("', '") }}')
            then 'unknown {{ column.name }}'
    {%- elif column.data_type == 'date' %}
        when {{ column.name }} is not null and read_{{ column.name }} is null then 'unreadable {{ column.name }}'
    {%- endif %}
    {%- if terms.is_month %}
        when read_{{ column.name }} <> date_trunc('month', read_{{ column.name }})
            then 'not the first day of a month: {{ column.name }}'
    {%- endif %}
    {%- if terms.is_count %}
        when {{ column.name }} < 0 then 'negative {{ column.name }}'
    {%- endif %}
    {%- if terms.is_day_of_month %}
        when {{ column.name }} not between 1 and 31 then 'no day of a month: {{ column.name }}'
    {%- endif %}
    {%- if terms.not_before %}
        when read_{{ column.name }} < read_{{ terms.not_before }} then '{{ column.name }} before {{ terms.not_before }}'
    {%- endif %}
    {%- if terms.needs %}
        when {{ column.name }} is not null and {{ terms.needs }} is null
            then '{{ column.name }} without {{ terms.needs }}'
    {%- endif %}
    {%- endfor %}
    {%- if 'extracted_at' in extract_contract(name).columns %}
        when
            extracted_at
            > (select base_credible_times.credible_until from {{ base_credible_times }} as base_credible_times)
            then 'unconfirmed extracted_at'
    {%- endif %}
    {%- endif %}
    end
{%- endmacro %}


{% macro erased_reasons() -%}
    {{ return(['erased', 'erased, with an unconfirmed extracted_at']) }}
{%- endmacro %}

{#- The mark of plugins/erasing.py; of a streamed event and each line of a job within its JSON. -#}
{% macro is_erased(name) -%}
    {%- set is_marked = "extra = '" ~ erased_mark() ~ "'" -%}
    {%- set is_streamed = name in ['jobs', 'steps', 'api_requests'] -%}
    {{ "(" ~ is_marked ~ " or " ~ is_erased_entry('entry') ~ ")" if is_streamed else is_marked }}
{%- endmacro %}

{% macro is_erased_entry(column) -%}
    {{ column }} like '{{ erased_mark()[:-1] }}%'
{%- endmacro %}

{% macro is_erased_reason(column) -%}
    coalesce({{ column }} in ('{{ erased_reasons() | join("', '") }}'), false)
{%- endmacro %}

{#- A line of a streamed job that plugins/compacting.py reduced: its facts have the names of the extract steps. -#}
{% macro is_compacted_entry(column) -%}
    {{ column }} like '{"COMPACTED":true%'
{%- endmacro %}


{% macro is_compacted_text(column) -%}
    {{ column }} = '(compacted)'
{%- endmacro %}


{% macro erased_mark() -%}
    {{ return('{"ERASED":true}') }}
{%- endmacro %}


{% macro cannot_be(column, status_words) -%}
    {%- set words = status_words if column.meta.is_status else column.meta.accepted_values -%}
    {%- if words -%}
        {{ return("lower({value}) not in ('" ~ words | join("', '") ~ "')") }}
    {%- elif column.data_type == 'date' -%}
        {{ return("{value} is not null and (" ~ to_date('{value}') ~ ") is null") }}
    {%- elif column.meta.is_count -%}
        {{ return("{value} < 0") }}
    {%- elif column.meta.is_day_of_month -%}
        {{ return("{value} not between 1 and 31") }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}


{% macro row_content(name, more={}) -%}
    {%- if execute -%}
    {%- set values = {} -%}
    {%- for column in extract_contract(name).columns -%}
        {%- do values.update({
            column: "coalesce(" ~ as_text(column) ~ ", " ~ json_text('extra', column) ~ ")",
        }) -%}
    {%- endfor -%}
    {%- do values.update(more) -%}
    {{ row_as_json(values) }}
    {%- else -%}
    null
    {%- endif -%}
{%- endmacro %}
