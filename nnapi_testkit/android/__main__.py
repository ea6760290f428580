"""`python -m nnapi_testkit.android FOLDER [ABI...]`: what the build of a release wheel calls."""

import sys
from pathlib import Path

from nnapi_testkit.android.build import build_runners
from nnapi_testkit.errors import KitError


def main() -> int:
    """Build the runners named on the command line."""
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        build_runners(Path(sys.argv[1]), sys.argv[2:])
    except KitError as error:
        print(f"nnapi-testkit: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
