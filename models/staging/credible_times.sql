with

credible_times as (

    {{ credible_until(ref('extract_times')) }}

)

select * from credible_times
