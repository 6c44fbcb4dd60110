with

contract_usage as (

    select * from {{ ref('contract_usage') }}

),

customer_terms as (

    select * from {{ ref('customer_terms') }}

),

daily_customer_usage as (

    select * from {{ ref('daily_customer_usage') }}

),

periods as (

    select * from {{ ref('contract_periods') }}

),

months as (

    select distinct usage_month from {{ ref('monthly_customer_usage') }}

),

mcp_asset_jobs as (

    select * from {{ ref('mcp_asset_jobs') }}

),

jobs as (

    select * from {{ ref('metered_jobs') }}

),

as_of as (

    select * from {{ ref('as_of') }}

),

-- Of customers, term_findings says so by month.
unpriced_metric as (

    select
        'unpriced metric' as finding,
        'C-POOL' as rule_id,
        customer_id,
        metric || coalesce(' ' || call_type, '') as subject,
        'no ratio in force in the period from ' || cast(period_from as string) as detail,
        quantity as occurrences
    from contract_usage
    where
        customer_id = '*'
        and is_unpriced

),

-- On these days the default terms apply (C-TERM).
usage_between_subscriptions as (

    select
        'usage between subscriptions' as finding,
        'C-TERM' as rule_id,
        gaps.customer_id,
        cast(gaps.effective_from as string) || ' to ' || cast(gaps.effective_to as string) as subject,
        'usage on days between two subscriptions, under the default terms' as detail,
        count(distinct used.usage_date) as occurrences
    from customer_terms as gaps
    inner join daily_customer_usage as used
        on
            gaps.customer_id = used.customer_id
            and {{ is_in_force('gaps', 'used.usage_date') }}
    where
        gaps.term_from is null
        and gaps.effective_to is not null
        and gaps.effective_from > cast('1970-01-01' as date)
    group by gaps.customer_id, gaps.effective_from, gaps.effective_to

),

several_currencies as (

    select
        'several currencies' as finding,
        'C-VALUE' as rule_id,
        periods.customer_id,
        cast(months.usage_month as string) as subject,
        min(periods.currency) || ' and ' || max(periods.currency) || ' within the month' as detail,
        count(distinct periods.currency) as occurrences
    from periods
    inner join months
        on
            periods.period_from < cast(months.usage_month + interval '1' month as date)
            and periods.period_to > months.usage_month
    group by periods.customer_id, months.usage_month
    having count(distinct periods.currency) > 1

),

-- Nothing is published for it under these terms: the genie action would cover it, and there is no prompt.
skill_over_mcp as (

    select
        'skill called over MCP' as finding,
        'C-MCP-ASSET' as rule_id,
        jobs.customer_id,
        jobs.job_id as subject,
        'recipe ' || jobs.recipe_id || ' on ' || cast(jobs.usage_date as string) as detail,
        cast(1 as bigint) as occurrences
    from mcp_asset_jobs
    inner join jobs on mcp_asset_jobs.job_hash = jobs.job_hash
    inner join customer_terms
        on
            jobs.customer_id = customer_terms.customer_id
            and {{ is_in_force('customer_terms', 'jobs.usage_date') }}
    where
        mcp_asset_jobs.recipe_type = 'skill'
        and customer_terms.terms = 'credits_2025'
        and not jobs.is_admin
        and not jobs.is_excluded
        and jobs.usage_date <= (select as_of.as_of_date from as_of)

),

contract_findings as (

    select * from unpriced_metric
    union all
    select * from usage_between_subscriptions
    union all
    select * from several_currencies
    union all
    select * from skill_over_mcp

)

select * from contract_findings
