{{ rules_in_force(
    'seat_rules',
    key=['product'],
    columns=[
        'rule_id', 'product', 'metric', 'effective_from', 'effective_to', 'source', 'note',
    ]
) }}
