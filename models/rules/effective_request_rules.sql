{{ rules_in_force(
    'request_rules',
    key=['extract_name', 'request_type', 'is_mcp'],
    columns=[
        'rule_id', 'extract_name', 'request_type', 'is_mcp', 'metric', 'call_type', 'quantity_from',
        'effective_from', 'effective_to', 'source', 'note',
    ]
) }}
