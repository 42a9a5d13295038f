#!/usr/bin/env python3
"""Compare systems: see `partialreid.commands.compare`."""

import sys

from partialreid.commands.compare import main

if __name__ == "__main__":
    sys.exit(main())
