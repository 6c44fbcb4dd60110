{{ config(meta={'is_never_kept': true}) }}

with

metrics as (

    select * from {{ ref('effective_metrics') }}

),

units as (

    select
        units.*,
        metrics.is_billed_by_business_actions,
        metrics.is_billed_by_tasks,
        cast(date_trunc('month', units.usage_date) as date) as usage_month,
        units.restated_quantity - units.retracted_quantity as quantity,
        metrics.metric is not null as is_figure
    from {{ ref('restated_units') }} as units
    left join metrics
        on
            units.metric = metrics.metric
            and {{ is_in_force('metrics', rule_date('units.usage_date')) }}

),

-- Deliveries and listings are priced by the terms of the run before.
units_with_terms as (

    {{ with_terms('units', terms_before('customer_terms')) }}

),

priced_units as (

    {{ with_rates('units_with_terms', terms_before('stg_credit_ratios'), metric='billed_metric') }}

),

-- What each cause adds, in this run and in those it made for its causes. What only some terms count is no figure.
added as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        cause,
        restated_quantity - retracted_quantity as quantity
    from {{ source('run_state', 'replayed_restatements') }}

    union all

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        cause,
        quantity
    from units
    where is_figure

    union all

    select
        usage_month,
        customer_id,
        'credits' as metric,
        cast(null as string) as call_type,
        cause,
        quantity * credits_per_unit as quantity
    from priced_units
    where is_billed and (is_figure or metric <> billed_metric)

),

-- A figure that one cause adds and another one takes away is 0 before and after the run.
unexplained as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        sum(quantity) as quantity
    from (
        select
            usage_month,
            customer_id,
            metric,
            call_type,
            quantity - known_quantity as quantity
        from {{ ref('closed_month_figures') }}

        union all

        select
            usage_month,
            customer_id,
            metric,
            call_type,
            -quantity as quantity
        from added
    ) as changes
    group by usage_month, customer_id, metric, call_type

),

-- What is left belongs to the last cause of the run.
with_the_rest as (

    select * from added

    union all

    select
        unexplained.usage_month,
        unexplained.customer_id,
        unexplained.metric,
        unexplained.call_type,
        {{ cause_of_the_rest('metrics.month_aggregation') }} as cause,
        unexplained.quantity

    from unexplained
    left join metrics
        on
            unexplained.metric = metrics.metric
            and {{ is_in_force('metrics', rule_date('unexplained.usage_month')) }}

),

by_cause as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        cause,
        {{ order_of_cause('cause') }} as cause_order,
        sum(quantity) as quantity
    from with_the_rest
    group by usage_month, customer_id, metric, call_type, cause
    having sum(quantity) <> 0

),

chained as (

    select
        by_cause.*,
        coalesce(figures.known_quantity, 0) as known_quantity,
        sum(by_cause.quantity) over (
            partition by by_cause.usage_month, by_cause.customer_id, by_cause.metric, by_cause.call_type
            order by by_cause.cause_order
        ) as added_quantity

    from by_cause
    left join {{ ref('closed_month_figures') }} as figures
        on
            by_cause.usage_month = figures.usage_month
            and by_cause.customer_id = figures.customer_id
            and by_cause.metric = figures.metric
            and by_cause.call_type is not distinct from figures.call_type

),

usage_restatements as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        retracted_quantity,
        restated_quantity,
        cause,
        run_id,
        restated_at
    from {{ source('run_state', 'restatements') }}

    union all

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        cast(known_quantity + added_quantity - quantity as decimal(38, 9)) as retracted_quantity,
        cast(known_quantity + added_quantity as decimal(38, 9)) as restated_quantity,
        cause,
        {{ literal(invocation_id) }} as run_id,
        cast({{ literal(run_started_at.strftime('%Y-%m-%d %H:%M:%S')) }} as timestamp) as restated_at
    from chained

)

select * from usage_restatements
