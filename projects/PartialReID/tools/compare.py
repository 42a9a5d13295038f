#!/usr/bin/env python3
"""Compare systems: see `partialreid.command_compare`."""

import sys

from partialreid.command_compare import main

if __name__ == "__main__":
    sys.exit(main())
