"""What is said when a /proc file has a form that its parser does not know: the kernel moved, or the bytes were not what they claim."""

from __future__ import annotations

from holdfast.errors import KernelLacks


def malformed(file: str, text: bytes, source: str) -> KernelLacks:
    """The error to raise for a line, or a missing key, that the parser of `file` cannot read.

    Source:  STYLE rule: unknown is never guessed at
    """
    shown = bytes(text[:200])
    return KernelLacks(
        "proc_format",
        f"{file} has a form that this version does not know",
        where=f"{file}: {shown!r}",
        why=f"the form it knows is that of {source}",
        do="report this text; a newer version may know it",
    )


def missing(file: str, key: str, source: str) -> KernelLacks:
    """The error to raise when a key that is needed is not in the file.

    Source:  the key's own source, given by the caller
    """
    return KernelLacks(
        "proc_key",
        f"{file} has no {key}",
        where=file,
        why=f"{source}; this kernel was built without it, or is older",
        do="use a kernel that has it",
    )
