-- A rule that decides nothing in the sample world is one that no test would miss.
{{ config(enabled=is_sample()) }}

select
    rule_id,
    rule,
    decisions
from {{ ref('rule_coverage') }}
where
    decisions = 0
    -- with overrides another rule may decide
    and not exists (
        select 1 from {{ ref('rule_coverage') }} as coverage
        where coverage.rule_override is not null
    )
