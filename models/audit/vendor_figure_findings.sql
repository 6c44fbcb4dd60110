with

figures as (

    select * from {{ ref('reconciled_figures') }}

),

usage as (

    select * from {{ ref('monthly_customer_usage') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

known_customers as (

    select distinct customer_id from {{ ref('stg_customers') }}

),

reported_months as (

    select distinct usage_month from figures

),

usage_without_figure as (

    select
        'no figure of the vendor' as finding,
        cast(null as string) as rule_id,
        usage.customer_id,
        substr(cast(usage.usage_month as string), 1, 7) as subject,
        'the vendor has figures of this month for others' as detail,
        cast(1 as bigint) as occurrences
    from usage
    inner join reported_months on usage.usage_month = reported_months.usage_month
    left join figures
        on
            usage.customer_id = figures.customer_id
            and usage.usage_month = figures.usage_month
    where
        figures.customer_id is null
        and usage.tasks + usage.business_actions + usage.api_calls + usage.pages_processed + usage.events_processed
        + usage.mcp_calls + usage.genie_actions + usage.jobs_succeeded + usage.jobs_failed > 0

),

unknown_customer as (

    select distinct
        'figure of an unknown customer' as finding,
        cast(null as string) as rule_id,
        figures.customer_id,
        substr(cast(figures.usage_month as string), 1, 7) as subject,
        'no listing has this account, and ours is 0' as detail,
        cast(1 as bigint) as occurrences
    from figures
    left join known_customers on figures.customer_id = known_customers.customer_id
    left join usage on figures.customer_id = usage.customer_id
    where
        known_customers.customer_id is null
        and usage.customer_id is null
        and not figures.is_admin

),

figure_of_the_future as (

    select distinct
        'figure after the as-of date' as finding,
        cast(null as string) as rule_id,
        figures.customer_id,
        substr(cast(figures.usage_month as string), 1, 7) as subject,
        'the marts end on ' || cast(as_of.as_of_date as string) as detail,
        cast(1 as bigint) as occurrences
    from figures
    cross join as_of
    where figures.usage_month > as_of.as_of_date

),

contradicted_figure as (

    select
        'figures of the vendor differ' as finding,
        cast(null as string) as rule_id,
        customer_id,
        metric || ' of ' || substr(cast(usage_month as string), 1, 7) as subject,
        'another report has another figure; ' || cast(vendor_quantity as string) || ' is used' as detail,
        cast(1 as bigint) as occurrences
    from figures
    where is_contradicted

),

vendor_figure_findings as (

    select * from usage_without_figure
    union all
    select * from unknown_customer
    union all
    select * from figure_of_the_future
    union all
    select * from contradicted_figure

)

select * from vendor_figure_findings
