"""sqlfluff lint with a garbage collector that runs rarely: it keeps millions of small objects, and a fifth of its time
went into looking through them."""

import gc

from sqlfluff.cli.commands import lint

gc.set_threshold(200_000, 20, 50)
lint()
