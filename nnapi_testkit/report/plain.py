"""Text that others wrote, made safe to show: device names, driver texts, paths, messages."""

from __future__ import annotations

import re

__all__ = ["plain", "plain_lines", "plain_markdown"]

# What moves a cursor, starts an escape sequence, breaks a line, turns the direction of reading or
# is no character at all: C0 and C1, DEL, line and paragraph separators, bidirectional overrides,
# lone surrogates, the byte order mark and its mirror.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: str) -> str:
    """Return one line: what could act on a terminal, or begin another line, stands as an escape."""
    return _UNSAFE.sub(_escape, text)


def plain_lines(text: str) -> list[str]:
    """Return the lines of a text, each of them `plain`."""
    return [plain(line) for line in text.replace("\r\n", "\n").split("\n")]


def plain_markdown(text: str) -> str:
    """Return one line that opens no link, picture, code, cell or tag in Markdown."""
    return _MARKDOWN.sub(r"\\\g<0>", plain(text).replace("&", "&amp;").replace("<", "&lt;"))


_MARKDOWN = re.compile(r"[\\`\[\]|]")


def _escape(found: re.Match[str]) -> str:
    sign = found.group()
    code = ord(sign)
    return _SHORT.get(sign) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
