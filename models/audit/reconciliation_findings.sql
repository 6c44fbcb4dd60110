with

reconciled as (

    select * from {{ ref('usage_reconciliation') }}

),

figures as (

    select * from {{ ref('reconciled_figures') }}

),

units as (

    select * from {{ ref('vendor_month_units') }}

),

unexplained as (

    {{ unexplained_usage('reconciled') }}

),

unexplained_usage as (

    select
        'unexplained usage' as finding,
        'B-UNEXPLAINED' as rule_id,
        customer_id,
        metric || ' of ' || substr(cast(usage_month as string), 1, 7) as subject,
        case when customer_id is null then 'of all customers ' else '' end
        || 'ours is ' || cast(our_quantity as string) || ', the vendor says '
        || cast(vendor_quantity as string) as detail,
        cast(quantity as bigint) as occurrences
    from unexplained
    where
        quantity >= {{ var('unexplained_floor') }}
        and {{ ratio('quantity', 'greatest(our_quantity, vendor_quantity)') }} > {{ var('unexplained_warn_share') }}

),

-- Without the time zone the exact causes would leave nothing.
wrong_time_zone as (

    select
        'vendor_timezone is wrong' as finding,
        'B-ZONE' as rule_id,
        customer_id,
        metric || ' of ' || substr(cast(usage_month as string), 1, 7) as subject,
        'without the difference of time zones, ' || cast(time_zone as string) || ', nothing is left' as detail,
        abs(time_zone) as occurrences
    from figures
    where
        time_zone <> 0
        and left_by_exact_causes = -time_zone

),

other_terms as (

    select 'T1' as task_terms
    union all
    select 'T3' as task_terms

),

other_task_rules as (

    select
        'other task rules explain it' as finding,
        'B-TASK-RULES' as rule_id,
        reconciled.customer_id,
        'tasks of ' || substr(cast(reconciled.usage_month as string), 1, 7) as subject,
        'under the terms ' || other_terms.task_terms || ' nothing is unexplained' as detail,
        abs(reconciled.quantity) as occurrences
    from reconciled
    inner join figures
        on
            reconciled.customer_id = figures.customer_id
            and reconciled.usage_month = figures.usage_month
            and reconciled.metric = figures.metric
    inner join units
        on
            figures.customer_id = units.customer_id
            and figures.usage_month = units.usage_month
            and figures.extracted_at = units.extracted_at
    cross join other_terms
    where
        reconciled.cause = 'unexplained'
        and reconciled.metric = 'tasks'
        and reconciled.quantity <> 0
        and reconciled.quantity
        = coalesce(case other_terms.task_terms when 'T1' then units.tasks_not_t1 else units.tasks_not_t3 end, 0)
        - figures.task_rules

),

reconciliation_findings as (

    select * from unexplained_usage
    union all
    select * from wrong_time_zone
    union all
    select * from other_task_rules

)

select * from reconciliation_findings
