{{ config(meta={'is_never_kept': true}) }}

with

changes as (

    select * from {{ ref('usage_comparisons') }}
    where change is not null

),

-- No period is compared with more than 91 earlier days.
compared_days as (

    select cast(min(compared_to) - interval '91' day as date) as first_date from changes

),

usage_by_capability as (

    select * from {{ ref('usage_by_capability') }}

),

counts as (

    select * from {{ ref('daily_step_counts') }}

),

recipes as (

    select * from {{ ref('job_recipes') }}

),

decisions as (

    select * from {{ ref('step_decisions') }}

),

changed_recipes as (

    select
        recipe_hash,
        customer_id
    from recipes
    where customer_id in (select changes.customer_id from changes)

),

steps as (

    select
        changed_recipes.customer_id,
        counts.usage_date,
        decisions.metric,
        decisions.app,
        decisions.rule_id,
        decisions.task_rule_id,
        sum({{ quantity_of_steps('decisions', 'counts') }}) as quantity,
        sum(counts.steps * decisions.tasks) as tasks
    from counts
    inner join changed_recipes on counts.recipe_hash = changed_recipes.recipe_hash
    inner join decisions on {{ is_decided_by('decisions', 'counts', 'counts') }}
    where counts.usage_date >= (select compared_days.first_date from compared_days)
    group by
        changed_recipes.customer_id, counts.usage_date, decisions.metric, decisions.app, decisions.rule_id,
        decisions.task_rule_id

),

-- The same units by the rule that decided them, and as tasks.
decided as (
    {% for relation, metric, app, rule, quantity in [
        ('steps', 'metric', 'app', 'rule_id', 'quantity'),
        ('steps', "'tasks'", 'app', 'task_rule_id', 'tasks'),
        (ref('metered_jobs'), 'metric', 'cast(null as string)', 'rule_id', 'quantity'),
        (ref('metered_requests'), 'metric', 'cast(null as string)', 'rule_id', 'quantity'),
        (ref('metered_requests'), "'tasks'", 'cast(null as string)', 'task_rule_id', 'tasks'),
    ] %}
        select
            customer_id,
            {{ metric }} as metric,
            usage_date,
            {{ app }} as app,
            {{ rule }} as rule_id,
            {{ quantity }} as quantity
        from {{ relation }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

parts as (
    {% for part, relation, column in [
        ('recipe', 'usage_by_capability', 'recipe_id'), ('app', 'decided', 'app'), ('rule', 'decided', 'rule_id')
    ] %}
        select
            customer_id,
            metric,
            usage_date,
            '{{ part }}' as part,
            {{ column }} as part_id,
            quantity
        from {{ relation }}
        where usage_date >= (select compared_days.first_date from compared_days)
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

-- How much more (jumped) or less each part was used than in the mean of the earlier periods, times their number.
contributions as (

    select
        changes.customer_id,
        changes.metric,
        parts.part,
        parts.part_id,
        case when changes.change = 'jumped' then 1 else -1 end * sum(
            case
                when parts.usage_date >= changes.period_from then changes.compared_periods * parts.quantity
                else -parts.quantity
            end
        ) as contribution

    from changes
    inner join parts
        on
            changes.customer_id = parts.customer_id
            and changes.metric = parts.metric
            and changes.period_to > parts.usage_date
            and (changes.period_from <= parts.usage_date or changes.compared_to > parts.usage_date)
    where
        {{ dbt.datediff('parts.usage_date', 'changes.compared_to', 'day') }}
        <= changes.compared_periods * {{ dbt.datediff('changes.period_from', 'changes.period_to', 'day') }}
    group by changes.customer_id, changes.metric, changes.change, parts.part, parts.part_id

),

ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, metric, part order by contribution desc, part_id asc nulls last
        ) as part_rank
    from contributions
    where contribution > 0

),

tops as (

    select
        customer_id,
        metric,
        max(case when part = 'recipe' then part_id end) as top_recipe_id,
        max(case when part = 'app' then part_id end) as top_app,
        max(case when part = 'rule' then part_id end) as top_rule_id
    from ranked
    where part_rank = 1
    group by customer_id, metric

),

usage_changes as (

    select
        changes.customer_id,
        changes.metric,
        changes.change,
        changes.period_from,
        changes.period_to,
        changes.quantity,
        changes.usual_low,
        changes.usual_high,
        changes.last_used_on,
        tops.top_recipe_id,
        tops.top_app,
        tops.top_rule_id

    from changes
    left join tops
        on
            changes.customer_id = tops.customer_id
            and changes.metric = tops.metric

)

select * from usage_changes
