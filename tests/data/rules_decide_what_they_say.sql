-- The rule book says of each rule what it decides on; it decides on nothing else.
with

decided as (
    {% for relation, rule_id, decides in [
        ('monthly_rule_usage', 'rule_id', 'step'),
        ('monthly_rule_usage', 'task_rule_id', 'task'),
        ('metered_jobs', 'rule_id', 'job'),
        ('metered_requests', 'rule_id', 'request'),
        ('metered_requests', 'task_rule_id', 'task'),
        ('metered_seats', 'rule_id', 'seat'),
    ] %}
        select
            {{ rule_id }} as rule_id,
            '{{ decides }}' as decides
        from {{ ref(relation) }}
        {% if not loop.last %}union{% endif %}
    {% endfor %}

)

select
    decided.rule_id,
    decided.decides,
    rules.decides as said
from decided
inner join {{ ref('decision_rules') }} as rules on decided.rule_id = rules.rule_id
where decided.decides is distinct from rules.decides
