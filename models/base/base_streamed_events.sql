with

base_streamed_events as (

    {{ streamed_events(extract('job_history')) }}

)

select * from base_streamed_events
