"""The form of a tag: one row of facts, what each engine makes of it, and the words that rows are written with.

A verdict is about a process that uses what the row names:

    safe      everything it adds is carried, or it adds nothing that a process can hold
    partial   the usual use is carried; what is not is said by the effect
    unsafe    whoever uses it cannot be checkpointed, or is restored wrong
    untested  nobody has looked closely enough to say

The effect says how it shows: none, carried, refused (by name, before anything is touched), failed (loudly), lost (silently), told (lost
too, but listed under the kind's Loses and by check), unseen (no interface or no kind looks at it, so it is refused only where the
kernel-state reader may run), missing (the engine needs it and it is not there).
"""

from __future__ import annotations

from holdfast.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

ENGINES: tuple[str, ...] = ("native", "criu")
READ_AT: dict[str, str] = {"criu": "4.2"}  # the version that an engine without one means: rows were read against it
KINDS: tuple[str, ...] = ("kconfig", "space", "cmdline", "sysctl", "runtime")
VERDICTS: tuple[str, ...] = ("safe", "partial", "unsafe", "untested")
EFFECTS: tuple[str, ...] = ("none", "carried", "refused", "failed", "lost", "told", "unseen", "missing", "unknown")
PROOFS: tuple[str, ...] = ("rule", "read", "measured", "documented")

FIXED = "-"  # as the only root of a row: no config of x86 switches these options off

# Proofs that many rows share.
RULE = "rule: the native engine refuses what none of its kinds claims (docs/kinds.md)"
CARRY = "read: the native engine's kinds list it under Carries (docs/kinds.md)"
INNER = "rule: it adds code inside the kernel and no descriptor, mapping, socket, credential or task attribute"


class On(Record):
    """What one engine makes of a row.

    Shape:   `when` is set, unset, absent, or a comparison such as =0,off !=1 >=2 <=3; `kernel` and the engine's `version` are ranges
             such as 6.7.. or ..6.6
    """

    verdict: str
    effect: str
    why: str = ""
    when: str = "set"
    kernel: str = ""
    version: str = ""
    severity: str = ""  # where it is not what the effect says: critical for a sandbox, seal, limit or credential that is gone


class Tag(Record):
    """One row: what it names, why it matters, where that is written, how it was proven, and a verdict per engine.

    Shape:   `scope` holds names without CONFIG_, or paths of Kconfig files and directories, or boot parameters, or sysctls, or runtime
             keys; `roots` are the options that switch a whole space off
    """

    name: str
    kind: str
    scope: tuple[str, ...]
    why: str
    source: str
    proof: str
    on: dict[str, Sequence[On]]
    do: str = ""
    roots: tuple[str, ...] = ()
    evidence: str = "known"
    reproducer: str = ""

    def of(self, engine: str) -> Sequence[On]:
        """The verdicts about one engine; none where nobody has written any."""
        return self.on.get(engine, ())


def carried(why: str = "", *, when: str = "set", kernel: str = "", version: str = "") -> tuple[On, ...]:
    """Safe: the engine carries it."""
    return (On("safe", "carried", why, when, kernel, version),)


def nothing(why: str = "", *, when: str = "set") -> tuple[On, ...]:
    """Safe: there is nothing to carry."""
    return (On("safe", "none", why, when),)


def partly(
    why: str, effect: str = "refused", *, when: str = "set", kernel: str = "", version: str = "", severity: str = ""
) -> tuple[On, ...]:
    """Partial: the usual use is carried; `why` says what is not."""
    return (On("partial", effect, why, when, kernel, version, severity),)


def refused(why: str = "", *, when: str = "set") -> tuple[On, ...]:
    """Unsafe: a dump of whoever uses it is refused by name."""
    return (On("unsafe", "refused", why, when),)


def failed(why: str = "", *, when: str = "set", kernel: str = "", version: str = "") -> tuple[On, ...]:
    """Unsafe: the engine stops with an error."""
    return (On("unsafe", "failed", why, when, kernel, version),)


def lost(why: str = "", *, when: str = "set", severity: str = "") -> tuple[On, ...]:
    """Unsafe: the state is gone after a restore and nothing says so."""
    return (On("unsafe", "lost", why, when, "", "", severity),)


def unseen(why: str, *, when: str = "set") -> tuple[On, ...]:
    """Unsafe: no interface shows the state."""
    return (On("unsafe", "unseen", why, when),)


def untested(why: str = "", *, when: str = "set", kernel: str = "") -> tuple[On, ...]:
    """Untested: nobody has looked."""
    return (On("untested", "unknown", why, when, kernel),)


def needed(why: str, *, when: str = "unset", partial: bool = False) -> tuple[On, ...]:
    """Safe when it is there; without it the engine does not work, or works in part."""
    return (On("safe", "none", "it is there", "set"), On("partial" if partial else "unsafe", "missing", why, when))


def _row(
    kind: str, name: str, scope: str, why: str, source: str, proof: str, native: Sequence[On], criu: Sequence[On], do: str, roots: str = ""
) -> Tag:
    on = {"native": native, "criu": criu}
    return Tag(f"{kind}.{name}", kind, tuple(scope.split()), why, source, proof, on, do, tuple(roots.split()))


def option(
    name: str, symbols: str, why: str, source: str, proof: str, *, native: Sequence[On], criu: Sequence[On], do: str = "", roots: str = ""
) -> Tag:
    """A row about Kconfig options by name."""
    return _row("kconfig", name, symbols, why, source, proof, native, criu, do, roots)


def space(
    name: str, paths: str, why: str, source: str, proof: str, *, native: Sequence[On], criu: Sequence[On], do: str = "", roots: str = ""
) -> Tag:
    """A row about every option in some Kconfig files or directories; a longer path wins, an option's own row wins over both."""
    return _row("space", name, paths, why, source, proof, native, criu, do, roots)


def boot(name: str, params: str, why: str, source: str, proof: str, *, native: Sequence[On], criu: Sequence[On], do: str = "") -> Tag:
    """A row about boot parameters."""
    return _row("cmdline", name, params, why, source, proof, native, criu, do)


def knob(name: str, sysctls: str, why: str, source: str, proof: str, *, native: Sequence[On], criu: Sequence[On], do: str = "") -> Tag:
    """A row about sysctls."""
    return _row("sysctl", name, sysctls, why, source, proof, native, criu, do)


def flag(name: str, keys: str, why: str, source: str, proof: str, *, native: Sequence[On], criu: Sequence[On], do: str = "") -> Tag:
    """A row about something a running process uses: a descriptor type, VMA flag, socket family, namespace, policy, status field."""
    return _row("runtime", name, keys, why, source, proof, native, criu, do)


def device(name: str, paths: str, nodes: str, source: str, *, roots: str, do: str = "close the device before a dump") -> Tag:
    """A row about a space whose only handles are device nodes that neither engine can carry."""
    return space(
        name,
        paths,
        f"a process reaches it by a descriptor on {nodes}",
        source,
        f"{RULE}; read: CRIU criu/files.c dump_chrdev knows memory devices, ttys, tun and autofs only",
        native=refused(f"a descriptor on {nodes} is refused"),
        criu=failed("dump_unsupp_fd stops the dump unless a plugin takes the descriptor"),
        do=do,
        roots=roots,
    )


def node(name: str, symbols: str, nodes: str, source: str, do: str = "close the device before a dump") -> Tag:
    """A row about options whose only handles are device nodes that neither engine can carry."""
    return option(
        name,
        symbols,
        f"a process reaches it by a descriptor on {nodes}",
        source,
        f"{RULE}; read: CRIU criu/files.c dump_chrdev knows memory devices, ttys, tun and autofs only",
        native=refused(f"a descriptor on {nodes} is refused"),
        criu=failed("dump_unsupp_fd stops the dump unless a plugin takes the descriptor"),
        do=do,
    )


def mixed(name: str, paths: str, what: str, nodes: str, source: str) -> Tag:
    """A row about a space that serves the machine, and whose few device nodes cannot be carried."""
    return space(
        name,
        paths,
        what,
        source,
        f"{RULE}; read: CRIU criu/files.c dump_chrdev and dump_unsupp_fd",
        native=partly(f"programs that do not open it are not touched; a descriptor on {nodes} is refused"),
        criu=partly(f"programs that do not open it are not touched; a descriptor on {nodes} fails the dump", "failed"),
    )


def inner(name: str, paths: str, what: str, source: str) -> Tag:
    """A row about a space that no process can hold a handle of."""
    return space(name, paths, what, source, INNER, native=nothing(), criu=nothing())
