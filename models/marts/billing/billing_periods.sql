with

periods as (

    select * from {{ ref('contract_periods') }}

),

totals as (

    select * from {{ ref('daily_contract_totals') }}

),

used_in_periods as (

    select
        periods.customer_id,
        periods.period_from,
        coalesce(sum(totals.used_added), 0) as used,
        coalesce(sum(totals.unpriced_added), 0) as unpriced_quantity,
        min(totals.usage_date) filter (where totals.used_of_allowance > periods.allowance) as exceeded_on

    from periods
    left join totals
        on
            periods.customer_id = totals.customer_id
            and periods.period_from = totals.period_from
    group by periods.customer_id, periods.period_from

),

forecasts as (

    select * from {{ ref('contract_forecasts') }}

),

-- An allowance for the whole term is used up over its periods.
used_of_allowances as (

    select
        periods.*,
        {{ amount('used.used') }} as used,
        used.unpriced_quantity,
        {{ amount(
            "case when periods.allowance_per = 'term' then sum(used.used) over terms_until else used.used end"
        ) }} as used_of_allowance,
        case
            when periods.allowance_per = 'term' then min(used.exceeded_on) over terms_until else used.exceeded_on
        end as exceeded_on

    from periods
    inner join used_in_periods as used
        on
            periods.customer_id = used.customer_id
            and periods.period_from = used.period_from
    window terms_until as (partition by periods.customer_id, periods.term_from order by periods.period_from)

),

-- greatest() ignores an unknown allowance.
compared as (

    select
        *,
        case
            when allowance is not null then greatest({{ amount('allowance') }} - used_of_allowance, 0)
        end as remaining,
        least(used, greatest(used_of_allowance - {{ amount('allowance') }}, 0)) as overage
    from used_of_allowances

),

billing_periods as (

    select
        compared.customer_id,
        compared.term_from,
        compared.terms,
        compared.cycle_from,
        compared.cycle_to,
        compared.period_from,
        compared.period_to,
        compared.measure,
        cast(compared.used as decimal(38, 9)) as used,
        compared.allowance,
        cast(compared.used_of_allowance as decimal(38, 9)) as used_of_allowance,
        cast(compared.remaining as decimal(38, 9)) as remaining,
        {{ share_used('compared.used_of_allowance', 'compared.allowance') }} as share_used,
        cast(compared.overage as decimal(38, 9)) as overage,
        compared.unit_price,
        compared.currency,
        {{ value_of('compared.used', 'compared.unit_price', 'compared.minor_unit') }} as used_value,
        {{ value_of('compared.overage', 'compared.unit_price', 'compared.minor_unit') }} as overage_value,
        compared.unpriced_quantity = 0 as is_fully_priced,
        compared.days_elapsed,
        compared.exceeded_on,
        forecasts.projected_used,
        forecasts.projected_low,
        forecasts.projected_high,
        case
            when forecasts.customer_id is not null then coalesce(compared.exceeded_on, forecasts.projected_exceeds_on)
        end as projected_exceeds_on

    from compared
    left join forecasts
        on
            compared.customer_id = forecasts.customer_id
            and compared.period_from = forecasts.period_from

)

select * from billing_periods
