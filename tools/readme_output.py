#!/usr/bin/env python3
"""Put the real output of the two commands into README.md.

    make conformance | tee build/conformance.log; make test | tee build/test.log
    python tools/readme_output.py build/conformance.log build/test.log

Only the closing lines are shown: the conformance summary, and what pytest says last. A log that
does not end in a pass changes nothing.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
SUMMARY = re.compile(r"^\S+ \(target \S+\): .*^(?:PASS|FAIL|ERROR): [^\n]*$", re.M | re.S)
PYTEST = re.compile(r"^=* ?\d+ passed[^\n]*$", re.M)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def closing_lines(log: str, with_pytest: bool) -> str:
    """Return the conformance summary, then for a pytest log its closing line.

    Raises SystemExit when the log shows no passing run.
    """
    text = ESCAPES.sub("", log)
    summary, closing = SUMMARY.search(text), PYTEST.findall(text)
    if not summary or "\nPASS: " not in summary.group() or (with_pytest and not closing):
        raise SystemExit("the log shows no passing run: README.md is left as it is")
    lines = [summary.group(), closing[-1]] if with_pytest else [summary.group()]
    return "\n".join(lines) + "\n"


def replaced(readme: str, command: str, output: str) -> str:
    """Return `readme` with the block that shows `command`'s output filled anew."""
    block = re.compile(rf"(<!-- output: {re.escape(command)} -->\n```text\n).*?(```)", re.S)
    text, count = block.subn(lambda found: found[1] + output + found[2], readme)
    if count != 1:
        raise SystemExit(f"README.md has {count} blocks for the output of {command}, one is due")
    return text


def main() -> None:
    """Read the two logs, write README.md."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: python tools/readme_output.py CONFORMANCE_LOG TEST_LOG")
    conformance, test = (Path(name).read_text() for name in sys.argv[1:])
    text = README.read_text()
    text = replaced(text, "make conformance", closing_lines(conformance, False))
    text = replaced(text, "make test", closing_lines(test, True))
    README.write_text(text)


if __name__ == "__main__":
    main()
