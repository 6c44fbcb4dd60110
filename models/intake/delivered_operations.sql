{{ config(materialized='incremental', incremental_strategy='new_rows') }}

with

delivered as (
    {% for base in ['base_steps', 'base_job_history_lines'] %}
        select distinct
            adapter_name,
            adapter_operation
        from {{ ref(base) }}
        where {{ is_new_load() }}
        {% if not loop.last %}union{% endif %}
    {% endfor %}

),

delivered_operations as (

    select
        {{ row_hash(['adapter_name', 'adapter_operation']) }} as operation_hash,
        adapter_name,
        adapter_operation
    from delivered

)

select * from delivered_operations
