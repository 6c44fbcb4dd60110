{{ rules_in_force(
    'call_operations',
    key=['adapter_name', 'adapter_operation'],
    columns=[
        'rule_id', 'adapter_name', 'adapter_operation', 'call_mode', 'effective_from', 'effective_to',
        'source', 'note',
    ]
) }}
