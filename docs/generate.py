"""Write the pages that are made from the source, docs/kinds.md, docs/errors.md and docs/tags.md: `make docs`.

tests/repo/test_docs.py holds the pages fresh.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

DOCS = Path(__file__).resolve().parent
SRC = DOCS.parent / "src" / "holdfast"
NOTE = "<!-- made by docs/generate.py (make docs); edit the source that it names -->"


def main() -> int:
    """Write every page that is not as it should be."""
    for name, text in pages().items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"docs/{name} written\n")
    return 0


def pages() -> dict[str, str]:
    """Every generated page: name to text."""
    from holdfast.tags import page

    return {"kinds.md": kinds_page(), "errors.md": errors_page(), "tags.md": page.render()}


# --- kinds


def kinds_page() -> str:
    """One section for each kind, from its docstring and its watches."""
    from holdfast.kinds import registry

    out = [
        "# Kinds",
        "",
        NOTE,
        "",
        "What Holdfast can carry: one kind for each object of the kernel. What no kind claims is refused before anything is touched.",
        "**Loses** is what a restored program could see changed; a dump says so where it applies (LOSSY).",
        "",
        "| kind | about | what |",
        "|---|---|---|",
    ]
    sections: list[str] = []
    for kind in registry.kinds().values():
        file = SRC / "kinds" / f"{kind.name.replace('.', '/', 1)}.py"
        first, labels = docstring(file)
        out.append(f"| [{kind.name}](#{kind.name.replace('.', '')}) | {kind.subject} | {first} |")
        sections += ["", f"## {kind.name}", "", f"{first[:1].upper()}{first[1:]}"]
        sections += ["", *(f"- **{label}** {text}" for label, text in labels.items())]
        watched = sorted(f"{type(w).__name__} `{getattr(w, 'name', None) or w.prefix}`" for w in kind.watches)  # type: ignore[union-attr]
        if watched:
            sections.append(f"- **Watches** {', '.join(watched)}")
        sections.append(f"- **Source** `{file.relative_to(DOCS.parent)}`, record version {kind.version}")
    return "\n".join([*out, *sections]) + "\n"


def docstring(file: Path) -> tuple[str, dict[str, str]]:
    """A kind file's first sentence without the name, and its labels, each as one line."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    head, _, rest = text.partition("\n\n")
    labels: dict[str, str] = {}
    last = ""
    for line in rest.splitlines():
        word, colon, value = line.partition(":")
        if colon and word.isalpha() and word[:1].isupper() and not line.startswith(" "):
            last = word
            labels[last] = value.strip()
        elif last and line.strip():
            labels[last] += f" {line.strip()}"
    return " ".join(head.partition(": ")[2].split()), labels


# --- errors


def errors_page() -> str:
    """Every family with its exit code, and every code that the source makes, with what it says."""
    from holdfast.errors import FAMILIES

    families = {f.__name__: f for f in FAMILIES}
    out = [
        "# Errors",
        "",
        NOTE,
        "",
        "Every error has four parts: what, where, why, what to do. A code never changes its meaning. The exit code of a command is",
        "that of the family; exit code 1 is Python dying before Holdfast began, 128 + n a signal. `holdfast restore` without `--detach`",
        "ends with the exit status of the restored program once that runs.",
        "",
        "| family | exit code | who has to act |",
        "|---|---|---|",
    ]
    out += [f"| [{f.family}](#{f.family}) | {f.exit_code} | {f.acts} |" for f in FAMILIES]
    found = codes({name: f.family for name, f in families.items()})
    for family in FAMILIES:
        if family.family == "internal":
            continue  # for us, with a traceback
        out += ["", f"## {family.family}", "", (family.__doc__ or "").strip(), "", "| code | says | to do |", "|---|---|---|"]
        for code in sorted(found[family.family]):
            what, do = found[family.family][code]
            out.append(f"| `{code}` | {what} | {do} |")
    return "\n".join(out) + "\n"


def codes(families: dict[str, str]) -> dict[str, dict[str, tuple[str, str]]]:
    """Family to code to what it says and what to do, with … for what depends on the case."""
    found: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            family = families.get(called, "refused" if called == "Refusal" else "")
            given = dict(zip(("code", "what", "where", "why", "do"), node.args, strict=False)) | {
                k.arg: k.value for k in node.keywords if k.arg
            }
            if not family or "code" not in given or "what" not in given:
                continue
            code = words(given["code"])
            if code.strip("…") == "":
                continue  # passed through from elsewhere
            said = words(given["what"]), words(given["do"]) if "do" in given else ""
            known = found[family].get(f"{family}.{code}")
            if known is None or len(known[0]) < len(said[0]):
                found[family][f"{family}.{code}"] = said
    return found


def words(node: ast.expr) -> str:
    """The text of a string expression, safe inside a table."""
    return " ".join(_text(node).replace("|", "\\|").replace("<", "&lt;").split())


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.IfExp):
        return f"{_text(node.body)} / {_text(node.orelse)}" if _text(node.orelse) else _text(node.body)
    return "…"


if __name__ == "__main__":
    sys.exit(main())
