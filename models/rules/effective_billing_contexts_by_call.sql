{{ rules_in_force(
    'billing_contexts_by_call',
    key=['caller_context', 'call_mode'],
    columns=[
        'rule_id', 'caller_context', 'call_mode', 'billing_context', 'effective_from', 'effective_to',
        'source', 'note',
    ]
) }}
