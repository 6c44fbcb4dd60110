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

    select
        reconciled.*,
        {{ ratio('abs(reconciled.quantity)', 'greatest(reconciled.our_quantity, reconciled.vendor_quantity)') }}
            as share
    from reconciled
    where reconciled.cause = 'unexplained'

),

unexplained_usage as (

    select
        'unexplained usage' as finding,
        'B-UNEXPLAINED' as rule_id,
        customer_id,
        metric || ' of ' || substr(cast(usage_month as string), 1, 7) as subject,
        'ours is ' || cast(our_quantity as string) || ', the vendor says ' || cast(vendor_quantity as string) as detail,
        abs(quantity) as occurrences
    from unexplained
    where
        abs(quantity) >= {{ var('unexplained_floor') }}
        and share > {{ var('unexplained_warn_share') }}

),

unexplained_of_all as (

    select
        usage_month,
        metric,
        sum(abs(quantity)) as quantity,
        sum(our_quantity) as our_quantity,
        sum(vendor_quantity) as vendor_quantity
    from unexplained
    group by usage_month, metric

),

unexplained_usage_of_all as (

    select
        'unexplained usage' as finding,
        'B-UNEXPLAINED' as rule_id,
        cast(null as string) as customer_id,
        metric || ' of ' || substr(cast(usage_month as string), 1, 7) as subject,
        'of all customers ours is ' || cast(our_quantity as string) || ', the vendor says '
        || cast(vendor_quantity as string) as detail,
        cast(quantity as bigint) as occurrences
    from unexplained_of_all
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
        unexplained.customer_id,
        'tasks of ' || substr(cast(unexplained.usage_month as string), 1, 7) as subject,
        'under the terms ' || other_terms.task_terms || ' nothing is unexplained' as detail,
        abs(unexplained.quantity) as occurrences
    from unexplained
    inner join figures
        on
            unexplained.customer_id = figures.customer_id
            and unexplained.usage_month = figures.usage_month
            and unexplained.metric = figures.metric
    inner join units
        on
            figures.customer_id = units.customer_id
            and figures.usage_month = units.usage_month
            and figures.extracted_at = units.extracted_at
    cross join other_terms
    where
        unexplained.metric = 'tasks'
        and unexplained.quantity <> 0
        and unexplained.quantity
        = coalesce(case other_terms.task_terms when 'T1' then units.tasks_not_t1 else units.tasks_not_t3 end, 0)
        - figures.task_rules

),

reconciliation_findings as (

    select * from unexplained_usage
    union all
    select * from unexplained_usage_of_all
    union all
    select * from wrong_time_zone
    union all
    select * from other_task_rules

)

select * from reconciliation_findings
