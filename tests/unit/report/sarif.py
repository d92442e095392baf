"""The rules of SARIF 2.1.0 that matter to who reads our logs: what the OASIS schema and text demand of the parts that we write.

Source:  SARIF 2.1.0, OASIS Standard, and its JSON schema
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

# What each object may hold, of all that the schema allows; the first set must be there.
FORMS: dict[str, tuple[set[str], set[str]]] = {
    "log": ({"version", "runs"}, {"$schema"}),
    "run": ({"tool"}, {"results", "columnKind", "originalUriBaseIds"}),
    "tool": ({"driver"}, set()),
    "driver": ({"name"}, {"rules", "version", "informationUri"}),
    "rule": ({"id"}, {"name", "shortDescription", "help", "fullDescription"}),
    "text": ({"text"}, {"markdown"}),
    "result": ({"message"}, {"ruleId", "ruleIndex", "kind", "level", "locations", "partialFingerprints", "properties"}),
    "location": (set(), {"physicalLocation", "logicalLocations"}),
    "physical": ({"artifactLocation"}, {"region"}),
    "artifact": (set(), {"uri", "uriBaseId", "description"}),
    "logical": (set(), {"name", "fullyQualifiedName", "kind"}),
}
KINDS = {"notApplicable", "pass", "fail", "review", "open", "informational"}
LEVELS = {"none", "note", "warning", "error"}
# RFC 3986, appendix A: a URI reference holds nothing else; a percent sign begins two digits
URI = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")


def read(text: str) -> dict[str, Any]:
    """The only run of a log; an assertion fails where a rule is broken."""
    log = json.loads(text)
    _form(log, "log")
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    _form(run, "run")
    _form(run["tool"], "tool")
    driver = run["tool"]["driver"]
    _form(driver, "driver")
    assert driver["name"]
    rules = driver.get("rules", [])
    for rule in rules:
        _form(rule, "rule")
        for part in ("shortDescription", "help"):
            if part in rule:
                _text(rule[part])
    ids = [r["id"] for r in rules]
    assert len(set(ids)) == len(ids), "a rule is described once"
    assert run.get("columnKind") in ("utf16CodeUnits", "unicodeCodePoints", None)
    bases = run.get("originalUriBaseIds", {})
    for base in bases.values():
        _form(base, "artifact")
        assert "uri" not in base or base["uri"].endswith("/"), "3.14.14"
    for result in run["results"]:
        _result(result, ids, bases)
    return dict(run)


def _result(result: dict[str, Any], ids: list[str], bases: dict[str, Any]) -> None:
    _form(result, "result")
    _text(result["message"])
    assert ids[result["ruleIndex"]] == result["ruleId"], "3.27.6"
    assert result["kind"] in KINDS
    assert result["level"] in LEVELS
    assert (result["kind"] == "fail") == (result["level"] != "none"), "3.27.10"
    assert all(isinstance(v, str) for v in result.get("partialFingerprints", {}).values())
    for location in result.get("locations", []):
        _form(location, "location")
        assert location
        if "physicalLocation" in location:
            _form(location["physicalLocation"], "physical")
            artifact = location["physicalLocation"]["artifactLocation"]
            _form(artifact, "artifact")
            assert URI.fullmatch(artifact["uri"]), artifact["uri"]
            parts = urlsplit(artifact["uri"])
            if "uriBaseId" in artifact:
                assert artifact["uriBaseId"] in bases, "3.4.4"
                assert not parts.scheme
                assert not artifact["uri"].startswith("/")
        for logical in location.get("logicalLocations", []):
            _form(logical, "logical")
            assert logical.get("fullyQualifiedName") or logical.get("name")


def _form(value: object, name: str) -> None:
    must, may = FORMS[name]
    assert isinstance(value, dict), name
    assert must <= set(value), f"{name} lacks {sorted(must - set(value))}"
    assert set(value) <= must | may, f"{name} holds {sorted(set(value) - must - may)}"


def _text(value: dict[str, Any]) -> None:
    _form(value, "text")
    assert isinstance(value["text"], str)
    assert value["text"]
