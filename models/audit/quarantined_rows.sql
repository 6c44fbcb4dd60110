{% set extracts = [
    'customers', 'recipes', 'connections', 'jobs', 'steps', 'job_history', 'job_history_lines', 'api_requests',
    'api_collections', 'event_stream_requests', 'genie_prompts', 'seats', 'subscriptions', 'credit_ratios',
    'recommended_recipes', 'vendor_usage',
] %}

with

-- A step waits for its job, whatever became of the job's own row.
steps_without_job as (

    select
        steps.*,
        steps.customer_id as account_id,
        'steps' as extract_name
    from {{ ref('base_steps') }} as steps
    left join {{ ref('stg_jobs') }} as jobs
        on
            steps.customer_id = jobs.customer_id
            and steps.job_id = jobs.job_id
    where
        steps.quarantine_reason is null
        and jobs.job_id is null

),

quarantined_rows as (
    {% for extract in extracts %}
        select
            '{{ extract | replace('_lines', '') }}' as extract_name,
            file_name,
            quarantine_reason as reason,
            row_content
        from {{ ref('base_' ~ extract) }}
        where quarantine_reason is not null

        union all
    {% endfor %}
    select
        extract_name,
        file_name,
        'step without job' as reason,
        {{ row_as_json([
            'account_id', 'job_id', 'line_index', 'recipe_line_number', 'adapter_name', 'adapter_operation', 'keyword',
            'status', 'error', 'page_count', 'message_count', 'called_recipe_id', 'duration_seconds', 'extracted_at',
        ]) }} as row_content
    from steps_without_job

)

select * from quarantined_rows
