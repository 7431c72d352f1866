"""Notes of a frame, and its own settings for stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from satdaemon.config import StageSettings
from satdaemon.db.daemon import changed
from satdaemon.db.frame_edit import Redo, edit_bursts, redo_from
from satdaemon.db.frames import row_of
from satdaemon.db.store import Store
from satdaemon.db.within import at_once, undone
from satdaemon.errors import RequestError
from satdaemon.status import Stage


def edit_frame(
    db: Store,
    frame_id: str,
    *,
    add: Sequence[str] = (),
    drop: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    notes: str | None = None,
    dry_run: bool = False,
    who: str = "edit_frame",
) -> tuple[Redo, ...]:
    """Change bursts, settings and notes of a frame: all of it or, where one part is refused, nothing.

    Returns what is made with other settings, as `edit_settings` does. With `dry_run` all is done and undone.
    """

    def work(store: Store) -> tuple[Redo, ...]:
        stale = edit_settings(store, frame_id, settings, who=who) if settings else ()
        if notes is not None:
            edit_notes(store, frame_id, notes, who=who)
        if add or drop:
            edit_bursts(store, frame_id, add=add, drop=drop, confirm=True, who=who)
        return stale

    return undone(db, work) if dry_run else at_once(db, work)


def edit_notes(db: Store, frame_id: str, notes: str | None, *, who: str = "edit_frame") -> None:
    """Set what people want to remember of a frame; None or an empty text clears it."""
    with db.session_scope() as session:
        row_of(session, frame_id, lock=True).notes = (notes or "").strip() or None
        changed(session, who=who, what="notes", frame_id=frame_id, replan=False)


def edit_settings(
    db: Store, frame_id: str, values: Mapping[str, Mapping[str, Any]], *, who: str = "edit_frame"
) -> tuple[Redo, ...]:
    """Give a frame settings of its own for stages, `{stage: {key: value}}`; None takes satdaemon.cfg's again.

    Returns what was made with other settings: it becomes stale at the next plan, and serves until it is made
    again. Raises RequestError for an unknown stage or key, and for a value out of bounds.
    """
    checked = {stage: _checked(db, frame_id, stage, own) for stage, own in values.items()}
    with db.session_scope() as session:
        row = row_of(session, frame_id, lock=True)
        stored = {stage: dict(own) for stage, own in (row.stage_settings or {}).items()}
        before = {stage: dict(own) for stage, own in stored.items()}
        for stage, own in checked.items():
            merged = {**stored.get(stage, {}), **own}
            stored[stage] = {key: value for key, value in merged.items() if value is not None}
        row.stage_settings = {stage: own for stage, own in stored.items() if own}
        touched = [Stage(stage) for stage in checked if before.get(stage, {}) != stored[stage]]
        what = ", ".join(f"{stage}.{key}={value}" for stage, own in sorted(checked.items()) for key, value in sorted(own.items()))
        changed(session, who=who, what=f"settings {what}", frame_id=frame_id)
        return redo_from(session, frame_id, min(touched, key=list(Stage).index)) if touched else ()


def _checked(db: Store, frame_id: str, stage: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a stage as its section of satdaemon.cfg takes them."""
    if stage not in list(Stage):
        raise RequestError(f"frame {frame_id}: expected a stage ({', '.join(Stage)}), got {stage!r}")
    section = db.settings.stage(Stage(stage))
    known = sorted(set(type(section).model_fields) - set(StageSettings.model_fields))
    if unknown := sorted(set(own) - set(known)):
        raise RequestError(
            f"frame {frame_id}: expected keys of [{stage.upper()}] ({', '.join(known) or 'none'}), got {', '.join(unknown)}"
        )
    given = {key: value for key, value in own.items() if value is not None}
    try:
        whole = type(section).model_validate({**section.model_dump(), **given}).model_dump(mode="json")
    except ValidationError as error:
        wrong = "; ".join(f"{stage}.{item['loc'][0]}: expected: {item['msg']}; got {item['input']!r}" for item in error.errors())
        raise RequestError(f"frame {frame_id}: {wrong}") from error
    return {key: None if value is None else whole[key] for key, value in own.items()}
