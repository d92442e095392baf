"""What a round found: the verdict words, the proof of each difference, and the round as one value."""

from __future__ import annotations

from holdfast.model.record import Record, field

VERDICTS: tuple[str, ...] = ("lost", "failed", "flaky", "refused", "told", "kept", "blind", "unsettable")
"""Worst first.

lost        gone without a word
failed      the engine said no in the middle, or what came back died
flaky       lost, and not when tried again
refused     by name, before anything was touched
told        gone, and the engine named the loss in its answer to the dump
kept        every oracle says so
blind       no oracle sees the state, so nothing is said
unsettable  this kernel or user cannot make the state
"""

ORACLES: tuple[str, ...] = ("kernel", "getter", "proc", "behaviour", "memory")


class Proof(Record):
    """One thing that an oracle saw change over the checkpoint and that no decision explains.

    Shape:   `path` names the place: leader.files.fd[3].private.flags, get[0].result, status/CapEff, after[2].buffer[0]; `signature` is the
             place without numbers and names of this recipe, so that the same loss has the same one: eventfd_ctx.flags
    """

    oracle: str  # one of ORACLES
    path: str
    before: str
    after: str
    signature: str
    decision: str = ""  # the ledger's word for it: carried, refused, undecided; empty where the ledger does not speak of it
    source: str = ""  # the ledger row, or the getter


class Round(Record):
    """One recipe, one engine, one verdict.

    Unit:    times in ns
    """

    recipe: str  # its name
    key: str  # its digest
    interface: str
    engine: str  # native, criu:4.2
    version: str
    kernel: str
    verdict: str  # one of VERDICTS
    proofs: tuple[Proof, ...] = ()  # of a loss: what was lost
    seen: tuple[str, ...] = ()  # signatures of what made the state visible; empty where it is blind
    said: str = ""  # the engine's own words where it refused or failed; why it is unsettable
    text: str = ""  # the recipe
    took_ns: int = 0
    dump_ns: int = 0
    restore_ns: int = 0
    tries: int = 1
    facts: tuple[tuple[str, str], ...] = field(default=())

    @property
    def visible(self) -> bool:
        """Whether an oracle sees the state at all."""
        return self.verdict in ("kept", "lost", "flaky") or bool(self.seen)
