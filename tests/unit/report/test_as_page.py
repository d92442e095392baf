"""The page: well formed, complete, closed to the network, and deaf to hostile text."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from holdfast.report import as_page
from holdfast.report.result import Report
from tests.unit.report import sample

VOID = {"meta", "br", "input"}


class Page(HTMLParser):
    """Elements with their attributes, text by element, ids; asserts that tags close as they open."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [k for k, _ in attrs]
        assert len(set(names)) == len(names), (tag, names)
        self.elements.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open[-1] == tag, (tag, self.open[-3:])
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str, **want: str) -> list[dict[str, str]]:
        return [a for t, a in self.elements if t == tag and all(a.get(k.rstrip("_")) == v for k, v in want.items())]


def test_it_holds_every_finding_recipe_and_verdict() -> None:
    report = sample.report()
    page = Page(as_page.render(report))
    found = page.all("details", class_="finding")
    assert [(f["id"], f["data-e"], f["data-v"], f["data-g"], f["data-s"]) for f in found] == [
        (report.cases[0].id, "criu:4.2", "failed", "prctl", "4"),
        (report.cases[1].id, "criu:4.2", "lost", "eventfd", "3"),
    ]
    cells = [a for a in page.all("td") if "data-v" in a]
    assert sorted((c["data-e"], c["data-v"]) for c in cells) == sorted((r.engine, r.verdict) for r in report.results)
    assert [g["data-g"] for g in page.all("details", class_="group")] == ["eventfd", "io_uring", "prctl"]
    assert [d["value"] for d in page.all("input", name="v")] == ["lost", "failed", "refused", "kept", "blind", "unsettable"]
    text = as_page.render(report)
    for part in ("make fd = eventfd2(0, 1)", "leader.files.fd[3].private.flags", "carried", "refused.fd.io_uring: fd 3", "kernel structs"):
        assert part in text


def test_every_link_leads_to_an_id_of_the_page() -> None:
    page = Page(as_page.render(sample.report()))
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    assert {a["href"] for a in page.all("a")} <= {f"#{i}" for i in ids}
    assert {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a} <= set(ids)


def test_nothing_comes_from_outside_and_only_its_own_script_and_style_run() -> None:
    text = as_page.render(sample.report())
    page = Page(text)
    assert "http" not in text.replace("http-equiv", "")
    outside = {"src", "srcset", "action", "data", "style", "background", "poster"}
    assert not [(t, a) for t, a in page.elements if outside & set(a) or t in ("link", "iframe", "object", "embed", "base")]
    assert "@import" not in text
    assert "url(" not in text
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (body,) = page.texts[tag]
        assert rules[rule] == f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'"
    assert rules["default-src"] == "'none'"


def test_hostile_text_is_no_markup() -> None:
    text = as_page.render(sample.hostile())
    text.encode()
    page = Page(text)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not [a for _, a in page.elements if any(k.startswith("on") for k in a)]
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "{{ 7*7 }}" in text
    assert "</script><script>" not in text


def test_a_report_of_nothing_is_a_page() -> None:
    text = as_page.render(Report("hunt", "t", (), ()))
    Page(text)
    assert "Nothing was tried." in text
    assert "UNKNOWN" in text


def test_the_colours_of_both_schemes_can_be_read() -> None:
    """Every ink on both papers, by the contrast that WCAG 2.1 asks of text (1.4.3)."""
    css = as_page._read("page.css")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    for scheme in (light, dark):
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", scheme))
        inks = [c for c in colours if c in {"ink", "soft", "link", "red", "orange", "amber", "blue", "green"}]
        assert len(inks) == 8
        thin = [(i, p) for i in inks for p in ("paper", "sheet") if contrast(colours[i], colours[p]) < 4.5]
        assert thin == []
        assert contrast(colours["on"], colours["red"]) >= 4.5
        assert min(contrast(colours["ink"], colours[p]) for p in ("was", "is")) >= 4.5


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.1."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.1."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
