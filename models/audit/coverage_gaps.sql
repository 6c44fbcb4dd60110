with

job_days as (

    select * from {{ ref('job_days') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

-- From the week of the first job to the day before the as-of date; the as-of date itself is not over.
spine as (

    select
        {{ date_spine(
            "date_trunc('week', min(job_days.usage_date))",
            "max(cast(as_of.as_of_date - interval '1' day as date))",
            'day'
        ) }} as day_date
    from job_days
    cross join as_of

),

days as (

    select
        spine.day_date,
        cast(date_trunc('week', spine.day_date) as date) as week_start,
        job_days.usage_date is not null as has_jobs
    from spine
    left join job_days on spine.day_date = job_days.usage_date

),

weeks as (

    select
        week_start,
        bool_or(has_jobs) as has_jobs,
        coalesce(lag(bool_or(has_jobs)) over (order by week_start), true) as had_jobs_before
    from days
    group by week_start

),

-- Consecutive weeks without any job share one number, so a gap of months is compared with the weeks around it.
numbered as (

    select
        week_start,
        sum(case when has_jobs or had_jobs_before then 1 else 0 end) over (order by week_start) as week_number
    from weeks

),

numbered_days as (

    select
        days.day_date,
        days.has_jobs,
        numbered.week_number,
        row_number() over (partition by days.week_start order by days.day_date) as position_in_week,
        sum(case when days.has_jobs then 1 else 0 end) over (order by days.day_date) as job_days_before
    from days
    inner join numbered on days.week_start = numbered.week_start

),

weekdays as (

    select
        week_number,
        position_in_week,
        bool_or(has_jobs) as has_jobs
    from numbered_days
    group by week_number, position_in_week

),

-- For a day without jobs: in how many of the nine weeks around it the same weekday has jobs. Sundays may have none.
compared as (

    select
        empty_days.day_date,
        empty_days.job_days_before,
        count(*) as compared_weeks,
        sum(case when neighbours.has_jobs then 1 else 0 end) as weeks_with_jobs
    from numbered_days as empty_days
    inner join weekdays as neighbours
        on
            empty_days.position_in_week = neighbours.position_in_week
            and empty_days.week_number - 4 <= neighbours.week_number
            and empty_days.week_number + 4 >= neighbours.week_number
    where
        not empty_days.has_jobs
        and empty_days.job_days_before > 0
    group by empty_days.day_date, empty_days.job_days_before

),

coverage_gaps as (

    select
        min(compared.day_date) as first_date,
        max(compared.day_date) as last_date,
        count(*) as missing_days,
        compared.job_days_before = (select max(numbered_days.job_days_before) from numbered_days) as is_open
    from compared
    -- one of the nine weeks is the day's own, which has no jobs on it
    where
        compared.weeks_with_jobs >= 2
        and 4 * compared.weeks_with_jobs >= 3 * (compared.compared_weeks - 1)
    group by compared.job_days_before

)

select * from coverage_gaps
