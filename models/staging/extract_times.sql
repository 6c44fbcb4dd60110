{{ config(materialized='incremental', incremental_strategy='by_load') }}

with

extract_times as (

    {{ times_of_files() }}

)

select * from extract_times
