{{ rules_in_force(
    'operation_metrics',
    key=['adapter_name', 'adapter_operation'],
    columns=[
        'rule_id', 'adapter_name', 'adapter_operation', 'metric', 'quantity_from', 'effective_from',
        'effective_to', 'source', 'note',
    ]
) }}
