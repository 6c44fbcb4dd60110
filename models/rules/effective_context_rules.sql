{{ rules_in_force(
    'context_rules',
    key=['billing_context'],
    columns=[
        'rule_id', 'billing_context', 'effective_from', 'effective_to', 'source', 'note',
    ]
) }}
