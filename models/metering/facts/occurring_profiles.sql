{% set dated_rules = [
    'effective_control_keywords', 'effective_call_operations', 'effective_operation_metrics', 'effective_context_rules',
    'effective_task_rules', 'apps',
] %}

with

counts as (

    select distinct
        profile_id,
        job_class,
        rule_date
    from {{ ref('daily_step_counts') }}

),

profiles as (

    select * from {{ ref('step_profiles') }}

),

-- Days on which a rule of steps begins or ends. Between two of them no rule changes.
days as (

    select cast('0001-01-01' as date) as effective_from
    {% for rules in dated_rules %}
        union
        select effective_from from {{ ref(rules) }}
        union
        select effective_to as effective_from from {{ ref(rules) }}
        where effective_to is not null
    {% endfor %}

),

periods as (

    select
        effective_from,
        lead(effective_from) over (order by effective_from) as effective_to
    from days

),

occurring as (

    select distinct
        counts.profile_id,
        counts.job_class,
        periods.effective_from,
        periods.effective_to
    from counts
    inner join periods on {{ is_in_force('periods', 'counts.rule_date') }}

),

occurring_profiles as (

    select
        occurring.*,
        profiles.adapter_name,
        profiles.adapter_operation,
        profiles.keyword,
        profiles.is_trigger,
        profiles.outcome

    from occurring
    inner join profiles on occurring.profile_id = profiles.profile_id

)

select * from occurring_profiles
