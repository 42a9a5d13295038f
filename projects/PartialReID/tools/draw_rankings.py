#!/usr/bin/env python3
"""Draw ranked lists: see `partialreid.command_rankings`."""

import sys

from partialreid.command_rankings import main

if __name__ == "__main__":
    sys.exit(main())
