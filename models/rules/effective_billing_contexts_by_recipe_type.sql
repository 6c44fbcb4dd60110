{{ rules_in_force(
    'billing_contexts_by_recipe_type',
    key=['recipe_type', 'is_mcp'],
    columns=[
        'rule_id', 'recipe_type', 'is_mcp', 'billing_context', 'orphan_function_context', 'metric',
        'call_type', 'effective_from', 'effective_to', 'source', 'note',
    ]
) }}
