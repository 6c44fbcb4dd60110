with

base_credible_times as (

    {{ credible_until(ref('base_file_times')) }}

)

select * from base_credible_times
