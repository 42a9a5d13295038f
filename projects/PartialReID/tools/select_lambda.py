#!/usr/bin/env python3
"""Choose lambda on identities kept from training: see `partialreid.commands.select_lambda`."""

import sys

from partialreid.commands.select_lambda import main

if __name__ == "__main__":
    sys.exit(main())
