"""Checks of macros that dbt-bouncer lacks; dbt-bouncer.yml runs them."""

import re
from pathlib import Path

from dbt_bouncer.check_framework.decorator import check, fail

# An engine's variant of a macro, a materialization and a generic test are described by the macro that people call.
NOT_PUBLIC = re.compile("_|(duckdb|spark)__|materialization_|test_")


@check
def check_public_macro_described(macro):
    """Each public macro and each of its arguments has a description."""
    if NOT_PUBLIC.match(macro.name):
        return
    if not macro.description:
        fail(f"The macro {macro.name} has no description in _macros.yml.")
    signature = re.search(r"{%-?\s*macro\s+\w+\((.*?)\)\s*-?%}", macro.macro_sql, re.DOTALL).group(1)
    arguments = {part.split("=")[0].strip() for part in signature.split(",") if part.strip()}
    described = {argument.name for argument in macro.arguments if argument.description}
    if arguments != described:
        fail(f"The macro {macro.name} and _macros.yml differ in the arguments {sorted(arguments ^ described)}.")


@check
def check_macro_file_line_length(macro, *, max_length: int):
    """No line of a macro's file is longer, comments included."""
    for number, line in enumerate(Path(macro.original_file_path).read_text(encoding="utf-8").splitlines(), 1):
        if len(line) > max_length:
            fail(f"{macro.original_file_path}:{number} has {len(line)} characters, more than {max_length}.")
