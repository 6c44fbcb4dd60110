{{ rules_in_force(
    'control_keywords',
    key=['keyword'],
    columns=[
        'rule_id', 'keyword', 'effective_from', 'effective_to', 'source', 'note',
    ]
) }}
