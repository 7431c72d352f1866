"""Products on a shelf for the archives' stand-ins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from product_zips import SQUARE, START, product_name

from satdaemon.simulator.archives import Item

PUBLISHED = datetime(2023, 1, 9, tzinfo=UTC)


def item(start: datetime = START, *, footprint=SQUARE, track: int = 71, direction: str = "D", **more) -> Item:
    """A product that is listed but has no file; `more` goes to `Item`, but for what `product_name` takes."""
    of_name = {k: more.pop(k) for k in ("platform", "orbit", "crc") if k in more}
    values = {
        "published_utc": start + timedelta(hours=4),
        "proc_utc": start + timedelta(hours=2),
        "size": 4_000_000_000,
        "md5": "0" * 32,
        **more,
    }
    name = product_name(start, **of_name)
    return Item(name, start, start + timedelta(seconds=27), track, direction, footprint, **values)


def series(count: int, **more) -> list[Item]:
    """Products every twelve days on one track."""
    return [item(START + timedelta(days=12 * k), orbit=46693 + 175 * k, md5=f"{k:032x}", **more) for k in range(count)]
