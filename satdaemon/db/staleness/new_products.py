"""The news of a frame that is otherwise as it was: its new products, and what reads them.

The everyday case: a job has ended. Where nothing was stale, only these can be; so they alone are read.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.orm import Session

from satdaemon.db.models import Frame, Master, Product
from satdaemon.db.staleness.facts import FRAME_KEY, Facts, Key, Made, bursts_of, files_of, look_into, made_of
from satdaemon.db.staleness.reading import BY_RECORD, reads, recorded_reads
from satdaemon.status import Stage

MOST = 50
"""New products; of more the whole frame is looked at."""
_SIBLINGS: Key = (Stage.COHERENCE, FRAME_KEY)
_SERIES: Key = (Stage.TIMESERIES, FRAME_KEY)


def load_new(session: Session, frame_id: str) -> tuple[Facts, set[Key]] | None:
    """(what is known of the new products, of what reads them and of what these read; the first two).

    None where the whole frame has to be looked at: of what is read by a large part of it, and of the series.
    """
    frame = session.get(Frame, frame_id)
    master = session.scalar(select(Master.date).where(Master.frame_id == frame_id))
    if frame is None or master is None:
        return None
    new = made_of(session, frame_id, Product.judged.is_(None), most=MOST + 1)
    facts = Facts(frame, master, new, [], (), {}, {})
    geometry = (Stage.SATSAR, facts.master_key)
    if len(new) > MOST or new.keys() & {geometry, *BY_RECORD} or any(stage is Stage.TIMESERIES for stage, _ in new):
        return None
    wanted = {(Stage.SLC, name) for stage, name in new if stage is Stage.DOWNLOAD}
    wanted |= {(Stage.SATSAR, name) for stage, name in new if stage is Stage.SLC}
    wanted |= {(Stage.UNWRAP, name) for stage, name in new if stage is Stage.COHERENCE}
    wanted |= {_SERIES for stage, _ in new if stage is Stage.UNWRAP}
    days = {name for stage, name in new if stage is Stage.SATSAR}
    readers = {**_named(session, frame_id, wanted), **_pairs_of(session, frame_id, days)}
    if _SERIES in readers:
        return None
    asked = {geometry, _SIBLINGS, *(read for key in [*new, *readers] for read in reads(facts, key))}
    facts.products = {**_named(session, frame_id, asked), **readers, **new}
    keys = {*new, *readers, *({_SIBLINGS} if days and _SIBLINGS in facts.products else ())}
    if (Stage.SLC) in {stage for stage, _ in keys}:
        facts.bursts = bursts_of(session, frame_id)
    facts.files = files_of(session, frame_id, {name for stage, name in keys if stage in (Stage.DOWNLOAD, Stage.SLC)})
    look_into(session, facts, [facts.products[key].id for key in keys])
    known = asked | facts.products.keys()
    told = {read for key in new for read, _ in recorded_reads(facts, key, facts.given[facts.products[key].id])}
    return (facts, keys) if told <= known else None


def _named(session: Session, frame_id: str, keys: Iterable[Key]) -> dict[Key, Made]:
    wanted = sorted((stage.value, name) for stage, name in keys)
    return made_of(session, frame_id, tuple_(Product.stage, Product.key).in_(wanted)) if wanted else {}


def _pairs_of(session: Session, frame_id: str, days: set[str]) -> dict[Key, Made]:
    """The coherences of the pairs of some dates."""
    if not days:
        return {}
    sides = (func.substr(Product.key, 1, 8), func.substr(Product.key, 10, 8))
    return made_of(session, frame_id, Product.stage == Stage.COHERENCE.value, or_(*(side.in_(days) for side in sides)))
