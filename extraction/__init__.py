"""Reads the platform's Embedded API into EXTRACTS_DIR, in the shape of the contract: ``python -m extraction``.

``settings`` reads the configuration; ``endpoints`` has every path, limit and field name, and which are assumed.
``client`` sends requests, ``pacing`` decides when, ``paging`` asks for further pages, ``answers`` reads them.
``listings``, ``jobs`` and ``prompts`` read the extracts, ``writing`` and ``state`` write them and what the next
extraction needs, ``running`` joins these; ``problems`` are what can go wrong.

Importing this package imports none of them, and no library: it costs nothing if nothing is extracted.

Decisions::

    docs/decisions/extraction.md
    docs/decisions/extracted-jobs.md
    docs/decisions/last-pages.md
"""
