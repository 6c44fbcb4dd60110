-- The figures of a month, for its close. Variables: usage_month (its first day), closed_at (time in UTC).
select
    usage_month,
    customer_id,
    metric,
    call_type,
    quantity,
    getvariable('closed_at') as closed_at
from marts.monthly_figures
where usage_month = getvariable('usage_month')::date
order by customer_id, metric, call_type
