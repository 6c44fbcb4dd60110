{% macro check_options() -%}
    {%- if execute -%}
        {%- for name, type in known_options().items() if type == 'time zone'
            and (var(name) or 'UTC') not in modules.pytz.all_timezones -%}
            {{ exceptions.raise_compiler_error(
                "The var " ~ name ~ " is '" ~ var(name) ~ "', which is not an IANA time zone such as Europe/Berlin."
            ) }}
        {%- endfor -%}
        {%- for name in invocation_args_dict.vars if name not in known_options() -%}
            {{ exceptions.raise_compiler_error(
                "There is no var " ~ name ~ ". The vars are " ~ known_options() | sort | join(', ') ~ "."
            ) }}
        {%- endfor -%}
        {%- for name, type in known_options().items() if type == 'boolean' and var(name) | string
            | lower not in ['true', 'false'] -%}
            {{ exceptions.raise_compiler_error(
                "The var " ~ name ~ " is '" ~ var(name) ~ "': it must be true or false."
            ) }}
        {%- endfor -%}
        {%- for name, value in [('task_terms', var('task_terms')), ('vendor_task_terms', vendor_task_terms())]
            if value not in ['T1', 'T2', 'T3'] -%}
            {{ exceptions.raise_compiler_error("The var " ~ name ~ " is '" ~ value ~ "': it must be T1, T2 or T3.") }}
        {%- endfor -%}
        {%- if var('default_terms') not in ['tasks_2024', 'credits_2025', 'credits_2026'] -%}
            {{ exceptions.raise_compiler_error(
                "The var default_terms is '" ~ var('default_terms')
                ~ "': it must be tasks_2024, credits_2025 or credits_2026."
            ) }}
        {%- endif -%}
        {%- if var('admin_account_ids') is string or var('admin_account_ids') is not iterable -%}
            {{ exceptions.raise_compiler_error("The var admin_account_ids must be a list of account ids.") }}
        {%- endif -%}
        {%- for name, value in [('AS_OF_DATE', as_of_option()), ('rules_as_of', var('rules_as_of', none))] if value -%}
            {%- if run_query(
                "select try_cast(" ~ literal(value) ~ " as date) is null or not "
                ~ is_matching(literal(value), '[0-9]{4}-[0-9]{2}-[0-9]{2}')
            ).columns[0].values()[0] -%}
                {{ exceptions.raise_compiler_error(name ~ " is '" ~ value ~ "': it must be a date, YYYY-MM-DD.") }}
            {%- endif -%}
        {%- endfor -%}
        {%- for name, type in known_options().items() if type == 'number'
            and not (name == 'unexplained_fail_share' and var(name) is none)
            and not modules.re.fullmatch('[0-9]+([.][0-9]+)?', var(name) | string) -%}
            {{ exceptions.raise_compiler_error("The var " ~ name ~ " is '" ~ var(name) ~ "': it must be a number.") }}
        {%- endfor -%}
        {%- if var('null_marks') is string or var('null_marks') is not iterable or var('null_marks') | map('string')
            | map('length') | select('gt', 16) | list -%}
            {{ exceptions.raise_compiler_error(
                "The var null_marks must be a list of texts of at most 16 characters, such as ['\\N', 'null']."
            ) }}
        {%- endif -%}
        {%- if var('recompute_month')
            and not modules.re.fullmatch('[0-9]{4}-(0[1-9]|1[0-2])', var('recompute_month') | string) -%}
            {{ exceptions.raise_compiler_error(
                "The var recompute_month is '" ~ var('recompute_month') ~ "': it must be a month, YYYY-MM."
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro as_of_option() -%}
    {{ return(var('as_of_date', none) or env_var('AS_OF_DATE', '')) }}
{%- endmacro %}


{% macro vendor_timezone() -%}
    {{ return(var('vendor_timezone', none) or var('reporting_timezone')) }}
{%- endmacro %}

{% macro vendor_task_terms() -%}
    {{ return(var('vendor_task_terms', none) or var('task_terms')) }}
{%- endmacro %}


{% macro known_options() -%}
    {{ return({
        'reporting_timezone': 'time zone', 'count_test_jobs': 'boolean', 'admin_account_ids': 'list',
        'unruled_app_is_eligible': 'boolean', 'unknown_app_is_eligible': 'boolean', 'task_terms': 'word',
        'default_terms': 'word', 'prorate_allowances': 'boolean',
        'vendor_timezone': 'time zone', 'vendor_task_terms': 'word', 'unexplained_floor': 'number',
        'unexplained_warn_share': 'number', 'unexplained_close_share': 'number', 'unexplained_fail_share': 'number',
        'unusual_score': 'number', 'unusual_floor': 'number',
        'rule_overrides': 'boolean', 'rules_as_of': 'date',
        'as_of_date': 'date', 'extracts_schema': 'text', 'job_history_page_count_path': 'text',
        'job_history_messages_path': 'text', 'job_history_called_recipe_path': 'text',
        'only_stored_deliveries': 'boolean', 'quarantine_files': 'boolean', 'recompute_month': 'month',
        'dashboard': 'boolean', 'null_marks': 'list', 'listing_tolerance_hours': 'number',
        'unconfirmed_after_days': 'number', 'settling_seconds': 'number', 'stream_lookback_days': 'number',
        'freshness_warn_hours': 'number', 'freshness_error_hours': 'number', 'freshness_kept_warn_hours': 'number',
        'unreadable_least_rows': 'number', 'unreadable_fail_share': 'number', 'unreadable_warn_share': 'number',
    }) }}
{%- endmacro %}


{% macro boolean_option(name) -%}
    {{ return(var(name) | string | lower == 'true') }}
{%- endmacro %}
