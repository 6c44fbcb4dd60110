{{ rules_in_force(
    'recipe_types',
    key=['trigger_adapter'],
    columns=[
        'rule_id', 'trigger_adapter', 'trigger_operation', 'recipe_type', 'effective_from', 'effective_to',
        'source', 'note',
    ]
) }}
