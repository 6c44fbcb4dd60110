/*
From the vendor's figure to ours, and from our figure at the close to the one now: one row per line, in order. In each
part (vendor, close) the lines add up to the last one, figure_now. `make bridge MONTH=… CUSTOMER=…` prints it, and the
dashboard shows it for closed months. Both create the temporary views closed_months, closed_figures and
closed_restatements, which include months that were closed after the last run, and leave out erased customers
(plugins/closes.py). By hand, in the project's folder, without those:

    duckdb -readonly -csv -cmd "set variable usage_months = ['2026-07-01']; set variable customer_ids = ['1001'];
        create temp view closed_figures as from marts.usage_closes;
        create temp view closed_restatements as from marts.usage_restatements;
        create temp view closed_months as select distinct usage_month, closed_at from marts.usage_closes" \
        warehouse/usage.duckdb -f analyses/bridge.sql

Without customer_ids (null) the customers are added up.
*/
with

asked_months as (

    select unnest(cast(getvariable('usage_months') as date[])) as usage_month

),

asked_customers as (

    select unnest(cast(getvariable('customer_ids') as varchar[])) as customer_id

),

vendor_figures as (

    select distinct
        usage_month,
        customer_id,
        metric,
        vendor_quantity
    from marts.usage_reconciliation

),

-- Jobs are compared with the vendor's figures, and are in no close.
published_figures as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        quantity,
        true as is_in_closes
    from marts.monthly_figures

    union all

    select
        usage_month,
        customer_id,
        'jobs_succeeded' as metric,
        null as call_type,
        jobs_succeeded as quantity,
        false as is_in_closes
    from marts.monthly_customer_usage

    union all

    select
        usage_month,
        customer_id,
        'jobs_failed' as metric,
        null as call_type,
        jobs_failed as quantity,
        false as is_in_closes
    from marts.monthly_customer_usage

),

figures_now as (

    select * from published_figures
    where
        usage_month in (select asked_months.usage_month from asked_months)
        and (
            getvariable('customer_ids') is null
            or customer_id in (select asked_customers.customer_id from asked_customers)
        )

),

-- What leads to the figure now. A column that a line lacks is null.
customer_items as (

    select
        usage_month,
        customer_id,
        metric,
        cast(null as varchar) as call_type,
        'vendor' as part,
        1 as item_order,
        'vendor_figure' as item,
        cast(null as varchar) as cause,
        cast(null as boolean) as is_exact,
        cast(null as varchar) as run_id,
        cast(null as timestamp) as happened_at,
        cast(vendor_quantity as decimal(38, 9)) as quantity
    from vendor_figures

    union all by name

    select
        usage_month,
        customer_id,
        metric,
        'vendor' as part,
        case when is_exact then 2 when cause <> 'unexplained' then 3 else 4 end as item_order,
        'cause' as item,
        cause,
        is_exact,
        quantity
    from marts.usage_reconciliation
    where quantity <> 0

    union all by name

    -- Of customers that are added up, some have no figure of the vendor.
    select
        usage_month,
        customer_id,
        metric,
        'vendor' as part,
        5 as item_order,
        'without_vendor_figure' as item,
        quantity
    from figures_now
    where
        getvariable('customer_ids') is null
        and quantity <> 0
        and (usage_month, metric) in (select (found.usage_month, found.metric) from vendor_figures as found)
        and (usage_month, metric, customer_id)
        not in (select (found.usage_month, found.metric, found.customer_id) from vendor_figures as found)

    union all by name

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        'close' as part,
        1 as item_order,
        'figure_at_close' as item,
        quantity
    from closed_figures

    union all by name

    -- A figure that was 0 at the close.
    select
        usage_month,
        customer_id,
        metric,
        call_type,
        'close' as part,
        1 as item_order,
        'figure_at_close' as item,
        0 as quantity
    from (
        select
            usage_month,
            customer_id,
            metric,
            call_type
        from figures_now
        where is_in_closes and usage_month in (select closed_months.usage_month from closed_months)

        union

        select
            usage_month,
            customer_id,
            metric,
            call_type
        from closed_restatements
    ) as figures

    union all by name

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        'close' as part,
        2 as item_order,
        'restatement' as item,
        cause,
        run_id,
        restated_at as happened_at,
        restated_quantity - retracted_quantity as quantity
    from closed_restatements

),

items as (

    select
        usage_month,
        case when getvariable('customer_ids') is not null then customer_id end as customer_id,
        metric,
        call_type,
        part,
        item_order,
        item,
        cause,
        is_exact,
        run_id,
        happened_at,
        sum(quantity) as quantity
    from customer_items
    where
        usage_month in (select asked_months.usage_month from asked_months)
        and (
            getvariable('customer_ids') is null
            or customer_id in (select asked_customers.customer_id from asked_customers)
        )
    group by all

),

-- The figure now: of a metric in the vendor's part, by call type in that of the close.
figures_of_parts as (

    select
        usage_month,
        case when getvariable('customer_ids') is not null then customer_id end as customer_id,
        metric,
        null as call_type,
        'vendor' as part,
        sum(quantity) as quantity
    from figures_now
    group by all

    union all

    select
        usage_month,
        case when getvariable('customer_ids') is not null then customer_id end as customer_id,
        metric,
        call_type,
        'close' as part,
        sum(quantity) as quantity
    from figures_now
    where is_in_closes
    group by all

),

-- Each part with items ends with the figure now. In an open month, metrics without a vendor's figure have nothing else.
parts as (

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        part,
        sum(quantity) as quantity_of_items
    from items
    group by all

    union all

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        part,
        null as quantity_of_items
    from figures_of_parts as figures
    where
        part = 'close'
        and usage_month not in (select closed_months.usage_month from closed_months)
        and (
            call_type is not null
            or not exists (
                select 1 from items
                where
                    figures.usage_month = items.usage_month
                    and figures.customer_id is not distinct from items.customer_id
                    and figures.metric = items.metric
            )
        )

),

last_figures as (

    select
        parts.*,
        coalesce(figures.quantity, 0) as quantity
    from parts
    left join figures_of_parts as figures
        on
            parts.usage_month = figures.usage_month
            and parts.customer_id is not distinct from figures.customer_id
            and parts.metric = figures.metric
            and parts.call_type is not distinct from figures.call_type
            and parts.part = figures.part

),

complete_items as (

    select * from items

    union all by name

    -- A run with an earlier as-of date compares no closes, and its figures end on that date.
    select
        usage_month,
        customer_id,
        metric,
        call_type,
        part,
        6 as item_order,
        'other_as_of_date' as item,
        quantity - quantity_of_items as quantity
    from last_figures
    where quantity <> quantity_of_items

    union all by name

    select
        usage_month,
        customer_id,
        metric,
        call_type,
        part,
        7 as item_order,
        'figure_now' as item,
        quantity
    from last_figures

),

numbered as (

    select
        *,
        row_number() over (
            partition by usage_month, customer_id, metric, call_type, part
            order by
                item_order asc,
                happened_at asc,
                run_id asc,
                -- as a run attributes them
                list_position(
                    [
                        'removed_load', 'replaced_delivery', 'late_delivery', 'listing_change', 'seat_or_term_change',
                        'rule_change', 'option_change', 'code_change'
                    ],
                    cause
                ) asc,
                abs(quantity) desc,
                cause asc
        ) as line_number
    from complete_items

),

added_up as (

    select
        *,
        item in ('vendor_figure', 'figure_at_close', 'figure_now') as is_total,
        case
            when item = 'figure_now' then quantity
            else
                sum(quantity) over (
                    partition by usage_month, customer_id, metric, call_type, part
                    order by line_number
                )
        end as figure_after,
        max(abs(quantity)) over (partition by usage_month, customer_id, metric, call_type, part) as largest
    from numbered

),

bridge as (

    select
        added_up.usage_month,
        added_up.customer_id,
        added_up.metric,
        added_up.call_type,
        added_up.part,
        added_up.line_number,
        added_up.item,
        added_up.cause,
        added_up.is_exact,
        added_up.is_total,
        labels.position as metric_order,
        cast(added_up.quantity as decimal(38, 9)) as quantity,
        cast(added_up.figure_after as decimal(38, 9)) as figure_after,
        cast(
            case
                when added_up.is_total then 0
                else added_up.figure_after - added_up.quantity
            end as decimal(38, 9)
        ) as figure_before,
        coalesce(labels.title, added_up.metric) as title,
        coalesce(
            added_up.happened_at, case when added_up.item = 'figure_at_close' then closed_months.closed_at end
        ) as happened_at

    from added_up
    left join labels.metric_labels as labels on added_up.metric = labels.metric
    left join closed_months on added_up.usage_month = closed_months.usage_month
    where added_up.largest > 0

)

select * from bridge
order by
    usage_month asc, customer_id asc, metric_order asc, part = 'close' asc, call_type asc nulls first, line_number asc
