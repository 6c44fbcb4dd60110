{{ rules_in_force(
    'proxy_operations',
    key=['adapter_name', 'adapter_operation'],
    columns=[
        'rule_id', 'adapter_name', 'adapter_operation', 'effective_from', 'effective_to', 'source', 'note',
    ]
) }}
