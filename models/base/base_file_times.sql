{{ replaces('load') }}

with

base_file_times as (

    {{ times_of_files() }}

)

select * from base_file_times
