{{ rules_in_force(
    'metrics',
    key=['metric'],
    columns=[
        'metric', 'capability', 'unit', 'month_aggregation', 'is_billed_by_business_actions',
        'is_billed_by_tasks', 'effective_from', 'effective_to', 'source', 'note',
    ]
) }}
