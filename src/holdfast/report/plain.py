"""Text of a subject made harmless for a line: what a hunted process or an engine wrote may hold anything."""

from __future__ import annotations

import re

# C0 and C1 controls, DEL, line and paragraph separators, characters that change the direction of what follows, lone surrogates, and
# what XML 1.0 has no place for
_WILD = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")


def line(text: str, limit: int = 0) -> str:
    """One line: controls, line ends and direction marks are written as escapes; cut at a limit, which is then said.

    Unit:    limit in characters, 0 for none
    """
    out = _WILD.sub(_escaped, text)
    return f"{out[:limit]}... ({len(out)} characters)" if limit and len(out) > limit else out


def block(text: str) -> str:
    """Several lines: as `line`, but line ends stay, and a tab becomes blanks."""
    return "\n".join(line(part) for part in text.expandtabs().replace("\r\n", "\n").split("\n"))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
