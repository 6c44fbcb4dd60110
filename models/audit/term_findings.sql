with

unpriced_metric as (

    select
        'unpriced metric' as finding,
        cast(null as string) as rule_id,
        customer_id,
        metric || coalesce(' ' || call_type, '') as subject,
        'no ratio in force in ' || cast(usage_month as string) as detail,
        unpriced_quantity as occurrences
    from {{ ref('monthly_credits') }}
    where is_unpriced

),

overlapping_terms as (

    select
        'overlapping subscriptions' as finding,
        cast(null as string) as rule_id,
        earlier.customer_id,
        cast(later.effective_from as string) as subject,
        'begins within the term from ' || cast(earlier.effective_from as string) as detail,
        cast(1 as bigint) as occurrences
    from {{ ref('stg_subscriptions') }} as earlier
    inner join {{ ref('stg_subscriptions') }} as later
        on
            earlier.customer_id = later.customer_id
            and earlier.effective_from < later.effective_from
            and (earlier.effective_to is null or earlier.effective_to > later.effective_from)
            and (later.effective_to is null or later.effective_to > later.effective_from)

),

overlapping_ratios as (

    select
        'overlapping credit ratios' as finding,
        cast(null as string) as rule_id,
        earlier.customer_id,
        earlier.metric || coalesce(' ' || earlier.call_type, '') as subject,
        'the ratio from ' || cast(later.effective_from as string) || ' begins within the one from '
        || cast(earlier.effective_from as string) as detail,
        cast(1 as bigint) as occurrences
    from {{ ref('stg_credit_ratios') }} as earlier
    inner join {{ ref('stg_credit_ratios') }} as later
        on
            earlier.metric = later.metric
            and earlier.call_type is not distinct from later.call_type
            and earlier.customer_id is not distinct from later.customer_id
            and earlier.terms is not distinct from later.terms
            and earlier.effective_from < later.effective_from
            and (earlier.effective_to is null or earlier.effective_to > later.effective_from)
            and (later.effective_to is null or later.effective_to > later.effective_from)

),

correction_of_the_past as (

    select
        'correction of the past' as finding,
        case extract_name
            when 'subscriptions' then 'C-TERM'
            when 'credit_ratios' then 'C-RATIO'
        end as rule_id,
        customer_id,
        subject,
        'said on ' || cast(said_on as string) || ', of days from ' || cast(changed_from as string) || ' on: '
        || detail as detail,
        cast(1 as bigint) as occurrences
    from {{ ref('stg_term_corrections') }}

),

-- For example an order that ended before its extract had listings: no listing can end it.
in_no_listing as (
    {% for extract in ['seats', 'subscriptions', 'credit_ratios'] %}
        select
            'in no listing' as finding,
            cast(null as string) as rule_id,
            customer_id,
            '{{ extract }}' as subject,
            'rows without extracted_at beside a listing, which can end none of them' as detail,
            count(*) as occurrences
        from {{ ref('stg_' ~ extract) }}
        where
            extracted_at is null
            and (select max(listed.extracted_at) from {{ ref('stg_' ~ extract) }} as listed) is not null
        group by customer_id
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

term_findings as (

    select * from unpriced_metric
    union all
    select * from overlapping_terms
    union all
    select * from overlapping_ratios
    union all
    select * from correction_of_the_past
    union all
    select * from in_no_listing

)

select * from term_findings
