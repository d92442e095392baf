"""kernel/state/memory.py: which way of reading is taken, and what is said when there is none."""

from __future__ import annotations

import errno

import pytest

from holdfast.errors import KernelLacks
from holdfast.kernel.state import bpf, kcore, memory


class Works:
    """A way that works."""


def refuse(code: int) -> type:
    class Refuses:
        def __init__(self) -> None:
            raise OSError(code, {errno.EPERM: "Operation not permitted", errno.ENOENT: "No such file or directory"}[code])

    return Refuses


def test_bpf_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "BpfMemory", Works)
    monkeypatch.setattr(kcore, "KcoreMemory", refuse(errno.ENOENT))
    assert isinstance(memory.open_memory(), Works)


def test_kcore_is_taken_where_bpf_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "BpfMemory", refuse(errno.EPERM))
    monkeypatch.setattr(kcore, "KcoreMemory", Works)
    assert isinstance(memory.open_memory(), Works)


def test_where_neither_works_each_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "BpfMemory", refuse(errno.EPERM))
    monkeypatch.setattr(kcore, "KcoreMemory", refuse(errno.ENOENT))
    with pytest.raises(KernelLacks) as error:
        memory.open_memory()
    assert error.value.code == "kernel_lacks.kernel_memory"
    assert error.value.why == "BPF: Operation not permitted; /proc/kcore: No such file or directory"
