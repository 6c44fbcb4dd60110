{{ config(materialized='incremental', incremental_strategy='by_load') }}

with

base_file_times as (

    {{ times_of_files() }}

)

select * from base_file_times
