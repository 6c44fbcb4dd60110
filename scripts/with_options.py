"""Run a command with options from an environment variable.

    PROOF="--worlds 400" python scripts/with_options.py PROOF python tests/proof.py

They are split as by a shell, without executing anything in them.
"""

import os
import shlex
import sys

if __name__ == "__main__":
    name, *command = sys.argv[1:]
    try:
        os.execvp(command[0], [*command, *shlex.split(os.environ.get(name, ""))])
    except ValueError as error:
        sys.exit(f"{name}={os.environ[name]} cannot be split into options: {error}")
