#!/usr/bin/env python3
"""Draw ranked lists: see `partialreid.commands.rankings`."""

import sys

from partialreid.commands.rankings import main

if __name__ == "__main__":
    sys.exit(main())
