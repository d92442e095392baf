"""Memory areas as the program set them up, not as the kernel cut them: neighbours that are alike in everything are one.

The kernel merges two areas whose every property is the same, if it gets the chance: an area that grew up in parts may stay in parts (their
pages belong to different anon_vma, or were moved there), and be one when it is made anew. No call acts differently on the two.

Source:  mm/vma.c: can_vma_merge_before, can_vma_merge_after; proc_pid_maps(5)
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.hunt.observe import Sight

_KERNEL = re.compile(r"^(.*\.mm\.vma\[0x)([0-9a-f]+)(\])(.*)$")
_PROC = re.compile(r"^(.*\.area\[)([0-9a-f]+)(\])(.*)$")
_EXTENT = frozenset(
    ("vm_area_struct.vm_start", "vm_area_struct.vm_end", "vm_area_struct.vm_pgoff", "maps.end", "maps.offset", "smaps-keys.Size")
)
_ANON_ONLY = frozenset(("vm_area_struct.vm_pgoff",))


def joined(look: Mapping[str, Sight], free: Callable[[Sight], bool]) -> dict[str, Sight]:
    """A look in which areas without a file that are neighbours and alike are one; what is `free` to differ counts for nothing."""
    out = dict(look)
    for pattern in (_KERNEL, _PROC):
        areas: dict[tuple[str, str], dict[int, dict[str, Sight]]] = {}
        width = 1 if pattern is _KERNEL else 8
        for path, sight in look.items():
            found = pattern.match(path)
            if found:
                areas.setdefault((found[1], found[3]), {}).setdefault(int(found[2], 16), {})[found[4]] = sight
        for (head, tail), starts in areas.items():
            _join(out, head, tail, starts, free, width)
    return out


def _join(
    out: dict[str, Sight], head: str, tail: str, starts: dict[int, dict[str, Sight]], free: Callable[[Sight], bool], width: int
) -> None:
    last: int | None = None
    for start in sorted(starts):
        fields = starts[start]
        if not _nameless(fields):
            last = None
            continue
        for name, sight in list(fields.items()):
            if sight.signature in _ANON_ONLY:
                out[f"{head}{start:0{width}x}{tail}{name}"] = sight.replace(
                    value="0"
                )  # for anonymous memory it is where the pages were born
            elif sight.value == "[heap]":
                out[f"{head}{start:0{width}x}{tail}{name}"] = fields[name] = sight.replace(value="")  # start_brk and brk say it
        if last is not None and _end(starts[last]) == start and _alike(starts[last], free) == _alike(fields, free):
            for name, sight in fields.items():
                del out[f"{head}{start:0{width}x}{tail}{name}"]
                if name.endswith((".vm_end", ".end")):
                    out[f"{head}{last:0{width}x}{tail}{name}"] = starts[last][name] = sight
                elif name.endswith(".Size"):
                    whole = int(starts[last][name].value.split()[0]) + int(sight.value.split()[0])
                    out[f"{head}{last:0{width}x}{tail}{name}"] = starts[last][name] = sight.replace(value=f"{whole} kB")
        else:
            last = start


def _nameless(fields: Mapping[str, Sight]) -> bool:
    name, file = fields.get(".name"), fields.get(".vm_file")
    if file is not None:
        return file.value == "null"
    return name is not None and (not name.value or name.value.startswith(("[anon:", "[heap")))


def _end(fields: Mapping[str, Sight]) -> int:
    if ".vm_end" in fields:
        return int(fields[".vm_end"].value)
    return int(fields[".end"].value, 16)


# What must be the same for two areas to be one.
def _alike(fields: Mapping[str, Sight], free: Callable[[Sight], bool]) -> dict[str, str]:
    return {
        name: sight.value
        for name, sight in fields.items()
        if sight.signature not in _EXTENT and (not name.startswith(".pages.") or name == ".pages.guard") and not free(sight)
    }
