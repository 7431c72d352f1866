"""The configuration in words: the reference page and the commented example file, both made from the models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from satdaemon.config.settings import Settings


def _sections() -> list[tuple[str, type[BaseModel]]]:
    found = []
    for name, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            found.append((name.upper(), model))
    return found


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def describe() -> str:
    """Every section and key as Markdown."""
    lines = [
        "# Configuration",
        "",
        "`satdaemon.cfg` at the root of the checkout is the default; `SATDAEMON_CONFIG` or `-d FILE` picks another.",
        "Relative paths count from the file's directory; `${NAME}` and `${NAME:-default}` take environment variables.",
        "An unknown section or key, a value out of bounds or a missing path is refused, naming file, section and key.",
        "This page is made from the code by `satdaemon config describe`; a test fails where the two differ.",
    ]
    for title, model in _sections():
        lines += [
            "",
            f"## [{title}]",
            (model.__doc__ or "").strip().splitlines()[0],
            "",
            "| key | default | meaning |",
            "| --- | --- | --- |",
        ]
        for key, field in model.model_fields.items():
            lines.append(f"| {key} | {_plain(field.default) or '(empty)'} | {field.description} |")
    return "\n".join(lines) + "\n"


def example() -> str:
    """A configuration file that sets every key to its default, each described."""
    lines = ["# SatDaemon's configuration. Every key with its default; see docs/configuration.md."]
    for title, model in _sections():
        lines += ["", f"# {(model.__doc__ or '').strip().splitlines()[0]}", f"[{title}]"]
        for key, field in model.model_fields.items():
            lines += [f"# {field.description}", f"{key} = {_plain(field.default)}".rstrip()]
    return "\n".join(lines) + "\n"
