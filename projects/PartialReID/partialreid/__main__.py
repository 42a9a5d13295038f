"""`python -m partialreid` is the command `partialreid`."""

import sys

from .commands.dispatch import main

if __name__ == "__main__":
    sys.exit(main())
