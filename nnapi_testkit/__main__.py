"""`python -m nnapi_testkit`: the command line."""

import sys

from nnapi_testkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
