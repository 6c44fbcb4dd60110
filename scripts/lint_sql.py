"""Run sqlfluff lint with a garbage collector that runs rarely, because sqlfluff keeps millions of small objects and
would spend a fifth of its time on scanning them."""

import gc

from sqlfluff.cli.commands import lint

gc.set_threshold(200_000, 20, 50)
lint()
