{{ rules_in_force(
    'task_rules',
    key=['task_terms', 'unit_kind'],
    columns=[
        'task_terms', 'rule_id', 'unit_kind', 'tasks', 'effective_from', 'effective_to', 'source', 'note',
    ]
) }}
