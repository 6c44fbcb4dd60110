{{ rules_in_force(
    'app_eligibility',
    key=['adapter_name'],
    columns=[
        'rule_id', 'adapter_name', 'app_name', 'app', 'family', 'is_deprecated', 'effective_from',
        'effective_to', 'source', 'note',
    ]
) }}
