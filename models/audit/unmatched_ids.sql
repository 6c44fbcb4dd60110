{#- Each id column with its relation, its column there, and the column that should contain the same ids. -#}
{% set columns = [
    ['jobs.account_id', 'metered_jobs', 'customer_id', 'customers.id'],
    ['recipes.user_id', 'stg_recipes', 'customer_id', 'customers.id'],
    ['connections.user_id', 'stg_connections', 'customer_id', 'customers.id'],
    ['seats.account_id', 'stg_seats', 'customer_id', 'customers.id'],
    ['subscriptions.account_id', 'stg_subscriptions', "nullif(customer_id, '*')", 'customers.id'],
    ['jobs.recipe_id', 'metered_jobs', 'recipe_id', 'recipes.id'],
] %}

with

known_ids as (

    select distinct
        'customers.id' as counterpart,
        customer_id as known_id
    from {{ ref('stg_customers') }}

    union all

    select distinct
        'recipes.id' as counterpart,
        recipe_id as known_id
    from {{ ref('stg_recipes') }}

),

named_ids as (
    {% for column, relation, named_id, counterpart in columns %}
        select distinct
            '{{ column }}' as column_name,
            '{{ counterpart }}' as counterpart,
            {{ named_id }} as named_id
        from {{ ref(relation) }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

examples as (

    select
        counterpart,
        min(known_id) as counterpart_example
    from known_ids
    group by counterpart

    union all

    select
        'jobs.id' as counterpart,
        min(job_id) as counterpart_example
    from {{ ref('metered_jobs') }}

),

-- Compares hashes, which is fast.
jobs_of_steps as (

    select job_hash
    from {{ ref('delivered_steps') }}
    where extract_name = 'steps'
    group by job_hash

),

delivered_jobs as (

    select job_hash
    from {{ ref('delivered_jobs') }}
    group by job_hash

),

compared as (

    select
        named_ids.column_name,
        named_ids.counterpart,
        count(*) as column_values,
        count(known_ids.known_id) as matching_values,
        min(named_ids.named_id) as example
    from named_ids
    left join known_ids
        on
            named_ids.counterpart = known_ids.counterpart
            and named_ids.named_id = known_ids.known_id
    where named_ids.named_id is not null
    group by named_ids.column_name, named_ids.counterpart

    union all

    select
        'steps.job_id' as column_name,
        'jobs.id' as counterpart,
        count(*) as column_values,
        count(delivered_jobs.job_hash) as matching_values,
        cast(null as string) as example
    from jobs_of_steps
    left join delivered_jobs on jobs_of_steps.job_hash = delivered_jobs.job_hash

    union all

    select
        'api_requests.job_id' as column_name,
        'jobs.id' as counterpart,
        count(*) as column_values,
        count(*) filter (where is_job_known) as matching_values,
        min(job_id) as example
    from {{ ref('metered_requests') }}
    where rule_id = 'R-JOB'

),

unmatched_ids as (

    select
        compared.column_name,
        compared.counterpart,
        compared.column_values,
        compared.example,
        examples.counterpart_example

    from compared
    inner join examples on compared.counterpart = examples.counterpart
    where
        compared.column_values > 0
        and compared.matching_values = 0
        and examples.counterpart_example is not null

)

select * from unmatched_ids
