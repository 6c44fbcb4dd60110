-- A digest of the deliveries that a month was counted from, per customer and extract. It does not depend on how they
-- were delivered, loaded or ordered: it is the sum of one number per row, of the MD5 of what counts in the row.
-- Variable: usage_month (its first day).
with

jobs as (

    select * from metering.metered_jobs
    where usage_date between getvariable('usage_month')::date and last_day(getvariable('usage_month')::date)

),

profiles as (

    select
        profile_id,
        concat_ws(
            '|', coalesce(adapter_name, '-'), coalesce(adapter_operation, '-'), coalesce(keyword, '-'), is_trigger,
            coalesce(outcome, '-')
        ) as profile_text
    from intake.step_profiles

),

-- Columns that were added later are at the end, and only where they have a value: digests of earlier closes stay.
contents as (

    select
        customer_id,
        'jobs' as extract_name,
        concat_ws(
            '|', job_id, coalesce(recipe_id, '-'), coalesce(environment_type, '-'), coalesce(calling_job_id, '-'),
            coalesce(root_recipe_id, '-'), status, is_repeat, is_test, is_poll_error,
            coalesce(action_count::varchar, '-'), coalesce(started_at::varchar, '-'), completed_at
        ) as row_text
    from jobs

    union all

    select
        jobs.customer_id,
        'steps' as extract_name,
        concat_ws(
            '|', jobs.job_id, facts.line_index, profiles.profile_text, coalesce(facts.page_count::varchar, '-'),
            coalesce(facts.message_count::varchar, '-'), coalesce(facts.called_recipe_id, '-')
        ) as row_text
    from facts.step_facts as facts
    inner join jobs on facts.job_hash = jobs.job_hash
    inner join profiles on facts.profile_id = profiles.profile_id
    -- the month of their jobs: the engine skips the steps of others
    where facts.usage_date between getvariable('usage_month')::date and last_day(getvariable('usage_month')::date)

    union all

    select
        customer_id,
        extract_name,
        concat_ws(
            '|', request_id, coalesce(recipe_id, '-'), coalesce(job_id, '-'), requested_at, coalesce(request_type, '-'),
            is_successful, quantity
        ) as row_text
    from metering.metered_requests
    where usage_date between getvariable('usage_month')::date and last_day(getvariable('usage_month')::date)

    union all

    select
        customer_id,
        'recipes' as extract_name,
        concat_ws(
            '|', recipe_id, coalesce(recipe_type, '-'), coalesce(trigger_adapter, '-'), coalesce(trigger_operation, '-')
        ) as row_text
    from run_state.listed_recipes

    union all

    select
        customer_id,
        'api_collections' as extract_name,
        api_collection_id as row_text
    from run_state.mcp_collections

    union all

    select
        customer_id,
        'seats' as extract_name,
        concat_ws('|', product, seats, effective_from, coalesce(effective_to::varchar, '-')) as row_text
    from staging.stg_seats

    union all

    select
        customer_id,
        'subscriptions' as extract_name,
        concat_ws(
            '|', recipe_metric, coalesce(included_credits::varchar, '-'), coalesce(task_limit::varchar, '-'),
            effective_from, coalesce(effective_to::varchar, '-'), 'terms ' || terms
        ) as row_text
    from staging.stg_subscriptions

    union all

    select
        '*' as customer_id,
        'credit_ratios' as extract_name,
        concat_ws(
            '|', metric, coalesce(call_type, '-'), credits_per_unit, effective_from,
            coalesce(effective_to::varchar, '-'), 'account ' || customer_id, 'terms ' || terms
        ) as row_text
    from staging.stg_credit_ratios

)

select
    customer_id,
    extract_name,
    count(*) as row_count,
    -- md5_number_lower() is the same number by way of a text, and takes four times as long
    sum((md5_number(row_text) >> 64)::hugeint)::varchar as digest
from contents
group by all
order by all
