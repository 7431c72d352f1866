"""A clipped polygon of a burst map gives way to the whole one of a file; never the other way round."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from simulated import zip_of

from satdaemon.db import Burst, Database, Frame, files
from satdaemon.db.burst_map import load_burst_map
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.known_bursts import COVERS_MORE, is_clipped
from satdaemon.domain import Burst as BurstValue
from satdaemon.insar.safe import SafeProduct, read_product

FRAME = "132A_CLIPPED"


def put(database: Database, index: int) -> SafeProduct:
    """A simulated product, ingested."""
    folder = database.settings.parameters.data_path / "T132"
    folder.mkdir(exist_ok=True)
    path = shutil.copy(zip_of(index), folder)
    files.ingest_files(database, checksum=False)
    return read_product(Path(path))


def scaled(burst: BurstValue, factor: float, *, corner: int = 0) -> BurstValue:
    """The same with a polygon so many times as large, one corner in its place."""
    x0, y0 = burst.footprint[corner]
    side = factor**0.5
    return replace(burst, footprint=tuple((x0 + (x - x0) * side, y0 + (y - y0) * side) for x, y in burst.footprint))


def area(database: Database, burst_id: str) -> float:
    return float(database.query(Burst, id=burst_id)[0].geometry.area)


def test_a_clipped_polygon_gives_way_to_that_of_a_file_and_the_map_does_not_clip_it_again(
    database: Database, tmp_path: Path
) -> None:
    values = read_product(zip_of(0)).domain_bursts()
    clipped, whole, others = values[0], values[1], values[2:]
    mapped = [scaled(clipped, 0.4), scaled(whole, 1 / 0.88), *(replace(b, footprint=()) for b in others)]
    insert_bursts(database, mapped)
    database.make_new_frame_using_burstlist([clipped.id, whole.id], FRAME)
    outline = database.query(Frame)[0].geometry
    before = area(database, whole.id)
    product = put(database, 0)
    rows = {row.id: row for row in database.query(Burst)}
    assert rows[clipped.id].geometry.equals_exact(shapely.Polygon(clipped.footprint), 1e-9)
    assert rows[clipped.id].maxx == pytest.approx(max(x for x, _ in clipped.footprint))
    assert rows[clipped.id].geometry_from == product.id
    assert (area(database, whole.id), rows[whole.id].geometry_from) == (before, None), "a whole one of the map stays"
    assert all(rows[b.id].geometry_from == product.id for b in others), "they had none"
    redrawn = database.query(Frame)[0].geometry
    assert redrawn.area > 1.1 * outline.area and redrawn.contains(shapely.Polygon(clipped.footprint).buffer(-1e-3))
    put(database, 1)
    assert {row.id: row.geometry_from for row in database.query(Burst) if row.id in rows} == {
        i: row.geometry_from for i, row in rows.items()
    }, "a second file changes nothing"
    columns = {
        "burst_id": [b.esa_id for b in mapped[:2]], "subswath_name": [b.swath for b in mapped[:2]],
        "relative_orbit_number": [132, 132], "orbit_pass": ["ASCENDING"] * 2,
        "geometry": [shapely.to_wkb(shapely.Polygon(b.footprint)) for b in mapped[:2]],
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "map.parquet")
    report = load_burst_map(database, tmp_path / "map.parquet")
    assert (report.rows, report.known, report.added, report.completed) == (2, 2, 0, 0)
    assert area(database, clipped.id) == pytest.approx(shapely.Polygon(clipped.footprint).area)


@pytest.mark.parametrize(("share", "clipped"), [(0.5, True), (0.99 / COVERS_MORE, True), (1.01 / COVERS_MORE, False)])
@pytest.mark.parametrize("shift", [0.0, 181.3, 360.0])
def test_what_counts_as_clipped(share: float, clipped: bool, shift: float) -> None:
    """Also where a polygon is written beyond the 180th meridian."""
    box = ((0.0, 50.0), (1.3, 50.1), (1.25, 50.3), (-0.05, 50.2))
    here = BurstValue("1_8603_IW1", 1, "A", 8603, "IW1", None, tuple((x + shift % 360, y) for x, y in box))
    shown = replace(here, footprint=tuple((x + shift, y) for x, y in box))
    assert is_clipped(scaled(here, share), shown) is clipped


def test_a_polygon_that_lies_elsewhere_is_not_the_clipped_one() -> None:
    """Half of it beside the burst: it is no part of what the file shows."""
    shown = BurstValue("1_8603_IW1", 1, "A", 8603, "IW1", None, ((0.0, 50.0), (1.3, 50.0), (1.3, 50.2), (0.0, 50.2)))
    beside = replace(shown, footprint=tuple((x * 0.5 - 0.25, y) for x, y in shown.footprint))
    assert not is_clipped(beside, shown)
