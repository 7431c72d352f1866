"""Reads satdaemon.cfg. Every message names file, section, key, what was expected and what was found."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from satdaemon.config.base import MUST_EXIST
from satdaemon.config.sections import Machine
from satdaemon.config.settings import Settings
from satdaemon.domain import Resources
from satdaemon.errors import ConfigError
from satdaemon.status import Stage

ENVIRONMENT_NAME = "SATDAEMON_CONFIG"
FILE_NAME = "satdaemon.cfg"
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_LOGIN = re.compile(r"://[^/\s?#@]*@")
"""Name and password of an address: no message shows them."""
_SECTIONS = {name.upper(): name for name, f in Settings.model_fields.items() if name != "source"}


def default_path(environment: Mapping[str, str] | None = None) -> Path:
    """The file named by SATDAEMON_CONFIG, else satdaemon.cfg here, else the one at the root of the checkout."""
    environment = os.environ if environment is None else environment
    if named := environment.get(ENVIRONMENT_NAME):
        return Path(named)
    here = Path(FILE_NAME)
    return here.resolve() if here.is_file() else Path(__file__).resolve().parents[2] / FILE_NAME


def load(
    path: Path | str | None = None, *, check_paths: bool = True, environment: Mapping[str, str] | None = None
) -> Settings:
    """Read a configuration file.

    Relative paths count from the directory of the file; `${NAME}` and `${NAME:-default}` take environment
    variables. Raises ConfigError for anything unknown, out of bounds or missing, all problems at once.
    """
    environment = os.environ if environment is None else environment
    file = Path(path) if path is not None else default_path(environment)
    parser = _parse(file)
    problems: list[str] = []
    raw: dict[str, dict[str, Any]] = {}
    for title in parser.sections():
        if title not in _SECTIONS:
            problems.append(
                f"{file}: [{title}]: expected one of {', '.join(sorted(_SECTIONS))}, got an unknown section"
            )
            continue
        raw[_SECTIONS[title]] = {
            key: _expand(value, environment, f"{file}: [{title}] {key}", problems)
            for key, value in parser[title].items()
        }
    settings = _validate(file, raw, problems)
    if settings is not None:
        settings = _absolute(settings, file.resolve().parent)
        problems += _machine_problems(file, settings)
        if check_paths:
            problems += _missing_paths(file, settings)
    if problems or settings is None:
        raise ConfigError("\n".join(problems))
    return settings.model_copy(update={"source": file.resolve()})


def _parse(file: Path) -> configparser.ConfigParser:
    # No section gives defaults to the others: [DEFAULT] is as unknown as any other name.
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",), default_section="")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file}: expected a readable configuration file, got: {error}. "
            f"Name another with -d FILE or {ENVIRONMENT_NAME}."
        ) from error
    try:
        parser.read_string(text, source=str(file))
    except configparser.Error as error:
        raise ConfigError(f"{file}: expected INI sections and `key = value` lines, got: {error}") from error
    return parser


def _expand(value: str, environment: Mapping[str, str], place: str, problems: list[str]) -> str:
    def one(match: re.Match[str]) -> str:
        found = environment.get(match["name"], match["default"])
        if found is None:
            problems.append(f"{place}: expected the environment variable {match['name']} to be set, got nothing")
            return ""
        return found

    if "${" in _VARIABLE.sub("", value):
        problems.append(f"{place}: expected ${{NAME}} or ${{NAME:-default}}, got {value!r}")
    return _VARIABLE.sub(one, value)


def _validate(file: Path, raw: dict[str, dict[str, Any]], problems: list[str]) -> Settings | None:
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        for item in error.errors():
            section, *keys = [str(part) for part in item["loc"]]
            key = ".".join(keys) or "(section)"
            if item["type"] == "extra_forbidden":
                model = Settings.model_fields[section].annotation
                known = ", ".join(getattr(model, "model_fields", {}))
                problems.append(
                    f"{file}: [{section.upper()}] {key}: expected one of the known keys ({known}), got an unknown one"
                )
            else:
                what = item["msg"].removeprefix("Value error, ")
                got = f"; got {_LOGIN.sub('://***@', repr(raw.get(section, {}).get(keys[0])))}" if keys else ""
                problems.append(f"{file}: [{section.upper()}] {key}: expected: {what}{got}")
        return None


def _absolute(settings: Settings, base: Path) -> Settings:
    changed: dict[str, Any] = {}
    for name in _SECTIONS.values():
        section = getattr(settings, name)
        update: dict[str, Any] = {
            key: base / value.expanduser()
            for key in type(section).model_fields
            if isinstance(value := getattr(section, key), Path)
        }
        if name == "parameters":
            for key in ("database", "points_database"):
                url = getattr(section, key)
                if url is not None:
                    update[key] = _absolute_sqlite(url, base)
            update["software_path"] = tuple(str(base / Path(place).expanduser()) for place in section.software_path)
        changed[name] = section.model_copy(update=update)
    return settings.model_copy(update=changed)


def _absolute_sqlite(url: str, base: Path) -> str:
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url.startswith(prefix + "/") or url in (prefix, prefix + ":memory:"):
        return url
    return prefix + str(base / url.removeprefix(prefix))


def _machine_problems(file: Path, settings: Settings) -> list[str]:
    table = settings.proc_machines
    count = len(table.names)
    problems = []
    if count == 0 or len(set(table.names)) != count:
        problems.append(
            f"{file}: [PROC_MACHINES] names: expected distinct names, got {', '.join(table.names) or 'none'}"
        )
    for key in ("hosts", "ports", "cpu", "memory_gb", "disk", "start"):
        got = len(getattr(table, key))
        if got not in (1, count):
            problems.append(f"{file}: [PROC_MACHINES] {key}: expected 1 or {count} values (one a name), got {got}")
    if problems:
        return problems
    try:
        machines = settings.machines
    except ValidationError as error:
        return [
            f"{file}: [PROC_MACHINES] {item['loc'][0]}: expected: {item['msg']}; got {item['input']!r}"
            for item in error.errors()
        ]
    return [problem for stage in Stage for problem in _unfit(file, stage, settings.stage(stage).resources, machines)]


def _unfit(file: Path, stage: Stage, needs: Resources, machines: Sequence[Machine]) -> list[str]:
    """A job that no machine can take would wait for ever."""
    if any(m.cpu >= needs.cpu and m.memory_gb >= needs.memory_gb and m.disk >= needs.disk for m in machines):
        return []
    largest = max(machines, key=lambda m: (m.memory_gb, m.cpu, m.disk))
    return [
        f"{file}: [{stage.value.upper()}] cpu, memory_gb, disk: expected a job that fits on one of the machines, got "
        f"{needs.cpu:g}, {needs.memory_gb:g}, {needs.disk:g}; the largest, {largest.name}, has "
        f"{largest.cpu:g}, {largest.memory_gb:g}, {largest.disk:g}"
    ]


def _missing_paths(file: Path, settings: Settings) -> list[str]:
    problems = []
    for name in _SECTIONS.values():
        section: BaseModel = getattr(settings, name)
        for key, field in type(section).model_fields.items():
            extra = field.json_schema_extra
            value = getattr(section, key)
            if isinstance(extra, dict) and extra.get(MUST_EXIST) and value is not None and not Path(value).exists():
                problems.append(f"{file}: [{name.upper()}] {key}: expected an existing path, found nothing at {value}")
    return problems
