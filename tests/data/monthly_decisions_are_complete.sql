-- monthly_decisions has each unit that metering decided, up to the as-of date, under the rule that decided it: as many
-- units, and what they count. (every_decision_on_a_step_is_shown says that metered_steps has every step.)
with

as_of as (

    select * from {{ ref('as_of') }}

),

-- Read once, because joining the texts to all steps takes most of the time.
steps as (

    select
        customer_id,
        metric,
        rule_id,
        rule_override,
        task_rule_id,
        task_rule_override,
        usage_date,
        count(*) as units_decided,
        sum(quantity) as quantity,
        sum(tasks) as tasks
    from {{ ref('metered_steps') }}
    where {{ in_affected('date_of_month') }}
    group by customer_id, metric, rule_id, rule_override, task_rule_id, task_rule_override, usage_date

),

decisions as (
    {% for units, relation, metric, rule_id, rule_override, count, quantity in [
        ('steps', 'steps', 'metric', 'rule_id', 'rule_override', 'units_decided', 'quantity'),
        ('steps, as tasks', 'steps', "'tasks'", 'task_rule_id', 'task_rule_override', 'units_decided', 'tasks'),
        ('jobs', ref('metered_jobs'), 'metric', 'rule_id', 'rule_override', 1, 'quantity'),
        ('requests', ref('metered_requests'), 'metric', 'rule_id', 'rule_override', 1, 'quantity'),
        ('requests, as tasks', ref('metered_requests'), "'tasks'", 'task_rule_id', 'task_rule_override', 1, 'tasks'),
        ('days of seats', ref('metered_seats'), 'metric', 'rule_id', 'rule_override', 1, 'quantity'),
    ] %}
        select
            '{{ units }}' as units,
            customer_id,
            {{ metric }} as metric,
            {{ rule_id }} as rule_id,
            {{ rule_override }} as rule_override,
            {{ count }} as units_decided,
            {{ quantity }} as quantity,
            usage_date,
            cast(date_trunc('month', usage_date) as date) as usage_month
        from {{ relation }}
        {% if units == 'requests, as tasks' %}where task_rule_id is not null{% endif %}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

decided as (

    select
        units,
        usage_month,
        customer_id,
        metric,
        rule_id,
        rule_override,
        sum(units_decided) as units_decided,
        case when units = 'days of seats' then max(quantity) else sum(quantity) end as quantity
    from decisions
    where
        {{ in_affected('month') }}
        and (usage_date is null or usage_date <= (select as_of.as_of_date from as_of))
    group by units, usage_month, customer_id, metric, rule_id, rule_override

),

shown as (

    select
        units,
        usage_month,
        customer_id,
        metric,
        rule_id,
        rule_override,
        sum(decided) as units_decided,
        sum(quantity) as quantity
    from {{ ref('monthly_decisions') }}
    where {{ in_affected('month') }}
    group by units, usage_month, customer_id, metric, rule_id, rule_override

)

select
    decided.units_decided,
    shown.units_decided as units_shown,
    decided.quantity,
    shown.quantity as quantity_shown,
    coalesce(decided.units, shown.units) as units,
    coalesce(decided.usage_month, shown.usage_month) as usage_month,
    coalesce(decided.customer_id, shown.customer_id) as customer_id,
    coalesce(decided.metric, shown.metric) as metric,
    coalesce(decided.rule_id, shown.rule_id) as rule_id,
    coalesce(decided.rule_override, shown.rule_override) as rule_override
from decided
full outer join shown
    on
        decided.units = shown.units
        and decided.usage_month is not distinct from shown.usage_month
        and decided.customer_id = shown.customer_id
        and decided.metric is not distinct from shown.metric
        and decided.rule_id = shown.rule_id
        and decided.rule_override is not distinct from shown.rule_override
where
    decided.units_decided is distinct from shown.units_decided
    or decided.quantity is distinct from shown.quantity
