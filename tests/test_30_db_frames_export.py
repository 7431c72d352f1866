"""Frames and bursts written for maps: what is in the files, and what never happens to files."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from frames_made import FRAME, bursts, make_frame, master_date, plan, run_all, step

from satdaemon.db import Burst, Database, Frame, summary
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.export import (
    BURST_COLUMNS,
    FRAME_COLUMNS,
    PROGRESS_COLUMNS,
    SHORT_NAMES,
    export_bursts,
    export_frames,
    progress_column,
)
from satdaemon.db.frame_life import clone_frame, retire_frame
from satdaemon.db.frame_overview import overviews
from satdaemon.db.vector_files import DRIVERS, SHAPEFILE_NAME
from satdaemon.domain import Burst as BurstValue
from satdaemon.errors import RequestError

DOC = Path(__file__).parents[1] / "docs" / "maps.md"


def read(path: Path) -> tuple[list[dict[str, Any]], list[Any]]:
    """Rows without their geometry, and the geometries, of whatever format."""
    if path.suffix.endswith("parquet"):
        table = pq.read_table(path)
        shapes = shapely.from_wkb(table["geometry"].to_pylist())
        return table.drop(["geometry"]).to_pylist(), list(shapes)
    meta, table = pyogrio.read_arrow(path)
    name = meta["geometry_name"] or "wkb_geometry"
    assert "4326" in meta["crs"] or "84" in meta["crs"]
    shapes = list(shapely.from_wkb(table[name].to_pylist()))
    return table.drop([name]).to_pylist(), shapes


def two_frames(db: Database) -> None:
    days = make_frame(db, 4)
    plan(db)
    step(db)
    clone_frame(db, FRAME, "132A_COPY")
    retire_frame(db, "132A_COPY")
    db.update(Frame, {"notes": "é" * 200, "priority": 3, "do_ingest": False, "start_date": days[0]}, id=FRAME)
    db.insert(Frame(id="132A_BARE", track=132, orbit_direction="A"))


@pytest.mark.parametrize("suffix", [s for s in DRIVERS if s != ".geoparquet"])
def test_every_format_reads_back_equal(database: Database, tmp_path: Path, suffix: str) -> None:
    two_frames(database)
    out = tmp_path / f"frames{suffix}"
    report = export_frames(database, out)
    assert report.rows == 3 and report.path == out
    rows, shapes = read(out)
    names = {SHORT_NAMES.get(n, n) if suffix == ".shp" else n: n for n in report.columns}
    found = {row["frame"]: ({names[k]: v for k, v in row.items() if k in names}, s) for row, s in zip(rows, shapes, strict=True)}
    row, shape = found[FRAME]
    assert set(row) == set(report.columns) - {"geometry"}
    (frame,) = database.query(Frame, id=FRAME)
    assert shape.geom_type == ("Polygon" if suffix == ".shp" else "MultiPolygon")  # a Shapefile does not tell them apart
    assert shape.symmetric_difference(frame.geometry).area < 1e-5
    assert (row["track"], row["pass"], row["bursts"], row["state"], row["priority"]) == (132, "A", 6, "on", 3)
    assert (row["dates"], row["pairs"], row["dates_out"]) == (4, 6, 0)
    assert date.fromisoformat(str(row["master"])[:10].replace("/", "-")) == master_date(database)
    assert row["stages_on"] == "download,slc,satsar,coherence,unwrap,timeseries"
    assert row["download_done"] == 4 and row["slc_done"] == 0
    assert row["notes"].startswith("é" * 120) and (suffix == ".shp" or len(row["notes"]) == 200)
    assert bool(row["updates"]) is True and bool(row["reprocess"]) is False
    assert found["132A_COPY"][0]["state"] == "retired" and found["132A_COPY"][0]["dates"] == 0
    assert found["132A_BARE"][1] is None and found["132A_BARE"][0]["master"] is None
    assert list(tmp_path.glob(".*")) == []


def test_counts_are_those_of_the_ledger_and_add_up(database: Database, tmp_path: Path) -> None:
    make_frame(database, 5)
    run_all(database)
    (one,) = overviews(database, [FRAME])
    for counts in summary.summary(database, FRAME):
        same = [c for c in summary.summary(database, FRAME) if c.stage == counts.stage]
        assert sum(one.counts[counts.stage].values()) == sum(c.total for c in same)
        assert one.counts[counts.stage]["done"] == sum(c.done + c.warnings for c in same)
    assert one.last_done == one.last_date and (one.dates, one.pairs) == (5, 9)
    assert overviews(database, [FRAME], counts=False)[0].counts == {}
    with pytest.raises(RequestError, match="unknown ones: 132A_NO"):
        overviews(database, [FRAME, "132A_NO"])


def test_names_of_a_shapefile_are_short_and_unique_and_all_columns_are_described() -> None:
    names = [*FRAME_COLUMNS, *(progress_column(*both) for both in PROGRESS_COLUMNS)]
    short = [SHORT_NAMES.get(name, name) for name in names]
    assert len(set(short)) == len(names) == len(set(names)) == 20 + 7 * 8
    assert [name for name in [*short, *(SHORT_NAMES.get(n, n) for n in BURST_COLUMNS)] if len(name) > SHAPEFILE_NAME] == []
    text = DOC.read_text()
    for name in (*FRAME_COLUMNS, *BURST_COLUMNS):
        assert f"| `{name}` " in text
    for stage, state in PROGRESS_COLUMNS:
        assert f"`{stage.value}`" in text and f"`{state.value}`" in text
        assert all(f"`{part}`" in text for part in SHORT_NAMES[progress_column(stage, state)].split("_"))


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet", ".shp"])
def test_bursts_with_their_frames_and_files(
    database: Database, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = make_frame(database, 3)
    clone_frame(database, FRAME, "132A_COPY")
    crossing = ((179.5, 50.0), (-179.5, 50.0), (-179.5, 50.2), (179.5, 50.2))
    insert_bursts(database, [*bursts(5, ("IW3",)), BurstValue("1_8566_IW1", 1, "A", 8566, "IW1", 42, crossing)])
    monkeypatch.setattr("satdaemon.db.export.BATCH", 4)
    monkeypatch.setattr("satdaemon.db.export.BATCH_OF_SOME", 4)
    told: list[tuple[int, int]] = []
    out = tmp_path / f"b{suffix}"
    assert export_bursts(database, out, progress=lambda done, total: told.append((done, total))).rows == 12
    assert told == [(4, 12), (8, 12), (12, 12)]
    rows, shapes = read(out)
    names = {SHORT_NAMES.get(n, n) if suffix == ".shp" else n: n for n in BURST_COLUMNS}
    found = {row["burst"]: ({names[k]: v for k, v in row.items()}, s) for row, s in zip(rows, shapes, strict=True)}
    row, shape = found[bursts()[0].id]
    assert (row["frames"], row["frame_count"], row["files"], row["swath"], row["anx"]) == (
        f"132A_COPY,{FRAME}",
        2,
        3,
        "IW1",
        8566,
    )
    assert str(row["last_date"])[:10].replace("/", "-") == days[-1].isoformat()
    assert shapely.equals(shape, shapely.Polygon(bursts()[0].footprint))
    assert found["1_8566_IW1"][0]["esa_id"] == 42 and found["1_8566_IW1"][0]["frames"] is None
    assert found["1_8566_IW1"][1].bounds == (-180, 50, 180, 50.2) and found["1_8566_IW1"][1].area == pytest.approx(0.2)
    some = tmp_path / f"some{suffix}"
    assert export_bursts(database, some, [FRAME]).rows == 6
    assert {row["burst"] for row in read(some)[0]} == {b.id for b in bursts()}
    with pytest.raises(RequestError, match="unknown ones: 132A_NO"):
        export_bursts(database, tmp_path / f"no{suffix}", ["132A_NO"])
    assert len(database.query(Burst)) == 12


def test_geoparquet_says_what_it_is(database: Database, tmp_path: Path) -> None:
    make_frame(database, 3)
    export_frames(database, tmp_path / "f.geoparquet")
    geo = json.loads(pq.read_schema(tmp_path / "f.geoparquet").metadata[b"geo"])
    assert geo["version"] == "1.1.0" and geo["columns"][geo["primary_column"]]["encoding"] == "WKB"
    assert pq.read_schema(tmp_path / "f.geoparquet").field("geometry").type == "binary"


def test_a_file_that_is_there_stays_until_told_otherwise(database: Database, tmp_path: Path) -> None:
    make_frame(database, 3)
    out = tmp_path / "frames.shp"
    export_frames(database, out)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert {path.suffix for path in before if path.stem == "frames"} >= {".shp", ".shx", ".dbf", ".prj", ".cpg"}
    with pytest.raises(RequestError, match="exists already; --force replaces it"):
        export_frames(database, out)
    assert before == {path: path.read_bytes() for path in before}
    out.with_suffix(".qix").write_bytes(b"an index of the file before")
    database.update(Frame, {"priority": 9}, id=FRAME)
    export_frames(database, out, overwrite=True)
    assert read(out)[0][0]["priority"] == 9 and not out.with_suffix(".qix").exists()


def test_what_goes_wrong_half_way_leaves_what_was_there(database: Database, tmp_path: Path) -> None:
    make_frame(database, 3)
    out = tmp_path / "frames.gpkg"
    export_frames(database, out)
    before = out.read_bytes()

    def broken(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for suffix in (".gpkg", ".geojson", ".parquet", ".shp"):
        with pytest.raises(KeyboardInterrupt):
            export_frames(database, out.with_suffix(suffix), overwrite=True, progress=broken)
    assert out.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(("frames", "."))] == ["frames.gpkg"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("frames.xls", "expected a name that ends with .shp, .gpkg"),
        ("frames", "got 'no suffix'"),
        ("no/frames.gpkg", "expected an existing directory"),
        ("folder.gpkg", "expected a file, got a directory"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_read(
    database: Database, tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.gpkg").mkdir()
    for export in (export_frames, export_bursts):
        with pytest.raises(RequestError, match=message):
            export(database, tmp_path / name, overwrite=True)
