-- A month's usage is the sum of its decisions, for every customer and metric that adds up, admin workspaces left
-- out. Those on steps are summed by monthly_rule_usage, another way than the usage of a day.
with

decisions as (

    select
        customer_id,
        is_admin,
        usage_month as usage_date,
        metric,
        quantity
    from {{ ref('monthly_rule_usage') }}

    union all

    select
        customer_id,
        is_admin,
        usage_month as usage_date,
        'tasks' as metric,
        tasks as quantity
    from {{ ref('monthly_rule_usage') }}

    union all

    select
        customer_id,
        is_admin,
        usage_date,
        metric,
        quantity
    from {{ ref('metered_jobs') }}

    union all

    select
        customer_id,
        is_admin,
        usage_date,
        metric,
        quantity
    from {{ ref('metered_requests') }}

    union all

    select
        customer_id,
        is_admin,
        usage_date,
        'tasks' as metric,
        tasks as quantity
    from {{ ref('metered_requests') }}

),

decided as (

    select
        decisions.customer_id,
        decisions.metric,
        cast(date_trunc('month', decisions.usage_date) as date) as usage_month,
        sum(decisions.quantity) as quantity
    from decisions
    cross join {{ ref('as_of') }} as as_of
    where
        decisions.metric is not null
        and decisions.usage_date <= as_of.as_of_date
        and not decisions.is_admin
    group by decisions.customer_id, decisions.metric, usage_month
    having sum(decisions.quantity) > 0

),

months as (

    select * from {{ ref('monthly_customer_usage') }}

),

reported as (
    {% for metric in usage_metrics() %}
        select
            customer_id,
            '{{ metric }}' as metric,
            usage_month,
            {{ metric }} as quantity
        from months
        where {{ metric }} > 0
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select
    decided.quantity as decided_quantity,
    reported.quantity as reported_quantity,
    coalesce(decided.customer_id, reported.customer_id) as customer_id,
    coalesce(decided.metric, reported.metric) as metric,
    coalesce(decided.usage_month, reported.usage_month) as usage_month
from decided
full outer join reported
    on
        decided.customer_id = reported.customer_id
        and decided.metric = reported.metric
        and decided.usage_month = reported.usage_month
where decided.quantity is distinct from reported.quantity
