"""Remove a customer from the warehouse: stored deliveries, figures, closes, pages and logs.

    make forget CUSTOMER=1008                                   # of WAREHOUSE_DIR
    make forget CUSTOMER=1008 CLOSES=remove                     # the figures of closed months, too
    make forget CUSTOMER=1008 CERTIFICATE=/safe/erasure.json    # where the certificate is written

Closed figures are kept under a pseudonym, unless CLOSES=remove. The certificate says what was removed, and names
nobody; by default it is in a folder beside WAREHOUSE_DIR, whose name ends in -erasures. What later deliveries bring of
the customer is dropped and counted. A call that was interrupted is completed by the same call. Exit code 0 if the
customer is erased, 1 if not, 2 if the question is wrong. docs/retention.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))

import yaml  # noqa: E402
from asking import warehouse_folder  # noqa: E402
from forgetting import Done, Forgetting, NotThere, Order  # noqa: E402
from progress import Progress, terminal  # noqa: E402
from recomputing import run_and_print  # noqa: E402

KEEP, REMOVE = "keep", "remove"


def main() -> int:
    """Erase the customer, and print what this removed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customer", default="", help="the customer's account id")
    parser.add_argument("--closes", default="", help="keep (the default): closed figures get a pseudonym; or remove")
    parser.add_argument("--certificate", default="", help="the file of the certificate, outside of WAREHOUSE_DIR")
    parser.add_argument("--vars", default="", help="vars of the scheduled run, as YAML, if they are not the last run's")
    asked = parser.parse_args()
    if asked.customer in ("", "*"):
        print("CUSTOMER is missing: name the account id of one customer, as in make forget CUSTOMER=1008.")
        return 2
    if asked.closes not in ("", KEEP, REMOVE):
        print(f"CLOSES={asked.closes} is neither keep nor remove: are the figures of closed months to be kept?")
        return 2
    try:
        options = yaml.safe_load(asked.vars) or {}
    except yaml.YAMLError:
        options = None
    if not isinstance(options, dict):
        print(f"The vars {asked.vars!r} are not a YAML mapping, such as '{{reporting_timezone: Europe/Berlin}}'.")
        return 2
    warehouse = warehouse_folder().resolve()
    if not (warehouse / "deliveries").is_dir():
        print(f"{warehouse} has no stored deliveries: there is nothing to forget.")
        return 2
    progress = Progress(lambda text: print(text, file=sys.stderr, flush=True), terminal())
    certificate = Path(asked.certificate).absolute() if asked.certificate else None
    order = Order(asked.customer, asked.closes != REMOVE, certificate, options)
    return run_and_print(Forgetting(warehouse, order, progress).run, warehouse, progress, {Done: 0, NotThere: 2})


if __name__ == "__main__":
    sys.exit(main())
