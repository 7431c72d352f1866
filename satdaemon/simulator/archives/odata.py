"""The part of OData's `$filter` that catalogues of satellite products use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from satdaemon.simulator.archives.place import meets, of_wkt

Record = Mapping[str, Any]
Test = Callable[[Record], bool]
COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}
TOKEN = re.compile(
    r"\s*(?:(?P<any>Attributes/OData\.CSC\.(?P<type>\w+)Attribute/any\(\s*(?P<var>\w+)\s*:\s*(?P=var)/Name\s+eq\s+'(?P<name>\w+)'"
    r"\s+and\s+(?P=var)/OData\.CSC\.(?P=type)Attribute/Value\s+(?P<anyop>\w+)\s+(?P<anyvalue>'[^']*'|[^\s)]+)\s*\))"
    r"|(?P<area>OData\.CSC\.Intersects\(area=geography'SRID=4326;(?P<wkt>[^']+)'\))"
    r"|(?P<call>contains|startswith|endswith)\(Name,'(?P<text>[^']*)'\)"
    r"|(?P<open>\()|(?P<close>\))|(?P<word>and|or|not)\b"
    r"|(?P<field>Collection/Name|ContentDate/Start|ContentDate/End|PublicationDate|ModificationDate|Name|Id|Online)"
    r"\s+(?P<op>eq|ne|gt|ge|lt|le)\s+(?P<value>'[^']*'|[^\s)]+))"
)


def filter_of(text: str) -> Test:
    """The test that a filter is; ValueError where it is not understood."""
    tokens: list[re.Match[str]] = []
    place = 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"Invalid filter near {text[place : place + 60]!r}")
        tokens.append(match)
        place = match.end()
    parser = _Parser(tokens)
    test = parser.either()
    if parser.tokens:
        raise ValueError("Invalid filter: what follows it is not understood")
    return test


class _Parser:
    """Recursive descent: or, and, not, then one condition or what stands in brackets."""

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self.tokens = tokens

    def either(self) -> Test:
        tests = [self.both()]
        while self._takes("or"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda record: any(test(record) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self._takes("and"):
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda record: all(test(record) for test in tests)

    def one(self) -> Test:
        if self._takes("not"):
            test = self.one()
            return lambda record: not test(record)
        if not self.tokens:
            raise ValueError("Invalid filter: it ends too early")
        token = self.tokens.pop(0)
        if token["open"] is None:
            return _condition(token)
        test = self.either()
        if not self.tokens or self.tokens.pop(0)["close"] is None:
            raise ValueError("Invalid filter: a bracket is not closed")
        return test

    def _takes(self, word: str) -> bool:
        if self.tokens and self.tokens[0]["word"] == word:
            self.tokens.pop(0)
            return True
        return False


def _condition(token: re.Match[str]) -> Test:
    if token["any"]:
        compare, wanted, name = COMPARE[token["anyop"]], _value(token["anyvalue"]), token["name"]
        return lambda record: any(a["Name"] == name and compare(_typed(a["Value"]), wanted) for a in record["Attributes"])
    if token["area"]:
        area = of_wkt(token["wkt"])
        return lambda record: meets(area, record["footprint"])
    if token["call"]:
        text, method = token["text"], {"contains": "__contains__"}.get(token["call"], token["call"])
        return lambda record: bool(getattr(record["Name"], method)(text))
    if token["field"]:
        compare, wanted, first, second = COMPARE[token["op"]], _value(token["value"]), *f"{token['field']}/".split("/")[:2]
        return lambda record: compare(_typed(record[first][second] if second else record[first]), wanted)
    raise ValueError(f"Invalid filter near {token[0]!r}")


def _value(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1]
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    return {"true": True, "false": False}[text] if text in ("true", "false") else datetime.fromisoformat(text)


def _typed(value: Any) -> Any:
    """A recorded time as a time; the rest as it is."""
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z\Z", value):
        return datetime.fromisoformat(value)
    return value
