{#- Usage by day with the terms in force, and whether they bill it. Terms that stand for a recipe metric bill what the
    rows of metrics say (and your overrides of them), all others what rules.terms says. What only some terms count is
    usage of a measure (counted_as); its billed_metric is the metric that has the ratio. -#}
{% macro with_terms(usage, terms) -%}
    select
        usage.*,
        terms_in_force.term_from,
        named_terms.terms,
        named_terms.measure,
        coalesce(billed.metric, usage.metric) as billed_metric,
        case named_terms.recipe_metric
            when 'tasks' then usage.is_billed_by_tasks
            when 'business_actions' then usage.is_billed_by_business_actions
            else billed.metric is not null
        end as is_billed

    from {{ usage }} as usage
    left join {{ terms }} as terms_in_force
        on
            usage.customer_id = terms_in_force.customer_id
            and {{ is_in_force('terms_in_force', 'usage.usage_date') }}
    inner join (select distinct terms, recipe_metric, measure from {{ ref('effective_terms') }}) as named_terms
        on coalesce(terms_in_force.terms, {{ literal(var('default_terms')) }}) = named_terms.terms
    left join {{ ref('effective_terms') }} as billed
        on
            named_terms.terms = billed.terms
            and usage.metric = billed.counted_as
{%- endmacro %}


{#- The ratio in force on the day (C-RATIO). -#}
{% macro with_rates(usage, ratios, metric='metric') -%}
    select
        usage.*,
        rates.credits_per_unit

    from {{ usage }} as usage
    left join (
        select
            units.customer_id,
            units.terms,
            units.{{ metric }},
            units.call_type,
            units.usage_date,
            ratios.credits_per_unit,
            row_number() over (
                partition by units.customer_id, units.terms, units.{{ metric }}, units.call_type, units.usage_date
                order by
                    ratios.customer_id is null, ratios.terms is null, ratios.call_type is null,
                    ratios.effective_from desc
            ) as rate_rank

        from (
            select distinct
                customer_id,
                terms,
                {{ metric }},
                call_type,
                usage_date
            from {{ usage }}
        ) as units
        inner join {{ ratios }} as ratios
            on
                units.{{ metric }} = ratios.metric
                and (units.customer_id = ratios.customer_id or ratios.customer_id is null)
                and (units.terms = ratios.terms or ratios.terms is null)
                and (units.call_type = ratios.call_type or ratios.call_type is null)
                and {{ is_in_force('ratios', 'units.usage_date') }}
    ) as rates
        on
            usage.customer_id = rates.customer_id
            and usage.terms = rates.terms
            and usage.{{ metric }} = rates.{{ metric }}
            and usage.call_type is not distinct from rates.call_type
            and usage.usage_date = rates.usage_date
            and rates.rate_rank = 1
{%- endmacro %}
