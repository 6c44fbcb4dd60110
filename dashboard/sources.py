"""Where the rules are published: the keys in the rule book's column ``source``, and their pages."""

from __future__ import annotations

from collections.abc import Iterable

# Paths below docs.workato.com, and the version of the page.
PAGES = {
    "GEN": "pricing/usage-metrics, Understanding usage for product capabilities (2025-08-13)",
    "GEN2": "pricing/usage-metrics.md, the redesigned page",
    "FAQ": "pricing/pricing-faqs (2025-08-13)",
    "BA": "pricing/usage-metrics/recipes (2025-08)",
    "API": "pricing/usage-metrics/api-platform (2025-08-13)",
    "IDP": "pricing/usage-metrics/idp (2025-08-13)",
    "ES": "pricing/usage-metrics/event-streams (2025-08)",
    "RF": "pricing/usage-metrics/recipe-functions (2025-08)",
    "MCP": "pricing/usage-metrics/mcp (2025-08)",
    "AS": "pricing/usage-metrics/agent-studio (2025-08)",
    "GO": "pricing/usage-metrics/workato-go (2025-08-13)",
    "T1": "recipes/tasks, the oldest version",
    "T2": "recipes/tasks, the middle version (about 2020 to 2025)",
    "T3": "recipes/tasks, the newest version",
    "TAB": "oem/admin-console/usage-metrics, Usage metrics tab (2023-06-23)",
}


def pages_of(sources: Iterable[str | None]) -> list[tuple[str, str]]:
    """The keys in these sources, each with its page, in the order of PAGES."""
    named = {key for source in sources if source for key in source.split(", ")}
    return [(key, page) for key, page in PAGES.items() if key in named]
