"""fd.inherited: what is claimed, and what is emitted."""

from __future__ import annotations

import os

import pytest

from holdfast.kinds.evidence import Options
from holdfast.kinds.fd.inherited import KIND, Inherited
from holdfast.model.ids import Fd
from tests.unit.kinds import native


@pytest.mark.parametrize(("allowed", "number", "claimed"), [(True, 2, True), (True, 3, False), (False, 0, False)])
def test_only_a_standard_descriptor_that_leads_out_is_claimed_and_only_if_allowed(allowed: bool, number: int, claimed: bool) -> None:
    reader, writer = os.pipe()
    evidence = native.tree(reader, options=Options(external_stdio=allowed))
    file = evidence.files[0]
    file._borrowed = native.lend(reader)
    file.holders = [(evidence.processes[0], Fd(number), False)]
    detect, refuse = KIND.verb("detect"), KIND.verb("refuse")
    assert detect is not None
    assert refuse is not None
    assert (detect(file) is not None) is claimed
    if claimed:
        assert [str(v) for v in refuse(file, native.answer)] == [
            f"fd.inherited: file:0: pipe:[{os.fstat(reader).st_ino}] becomes descriptor 2 of the restorer (--external-stdio)"
        ]
        assert native.record(KIND, file) == Inherited(2)
    native.close(evidence)
    os.close(reader)
    os.close(writer)


def test_a_pipe_inside_the_tree_is_not_claimed() -> None:
    reader, writer = os.pipe()
    evidence = native.tree(reader, writer, options=Options(external_stdio=True))
    file = evidence.files[0]
    file._borrowed = native.lend(reader)
    file.holders = [(evidence.processes[0], Fd(0), False)]
    detect = KIND.verb("detect")
    assert detect is not None
    assert detect(file) is None
    native.close(evidence)
    os.close(reader)
    os.close(writer)


def test_the_restorers_descriptor_takes_its_place() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    [made] = native.restored(KIND, [Inherited(fd)])
    assert (os.readlink(f"/proc/self/fd/{made}"), os.fstat(fd).st_ino) == ("/dev/null", os.stat("/dev/null").st_ino)
    os.close(fd)
    os.close(made)
