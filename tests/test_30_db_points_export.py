"""Points as files: what is written is what is there, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
import zarr
from points_made import show_points, write_points

from satdaemon.db import Database, points
from satdaemon.db.points.fields import FIELDS
from satdaemon.db.points.product import COLUMNS
from satdaemon.errors import DataError, RequestError

FRAME = "132A_TEST"
BOX = shapely.box(-1.9, 52.1, -1.7, 52.3)


@pytest.fixture
def made(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """3000 points; pieces of 700, so that every format is written in several."""
    product = write_points(tmp_path / "p", 3000, 7, unknown=("velocity",))
    show_points(database, FRAME, tmp_path / "p")
    module = sys.modules["satdaemon.db.points.exports"]
    monkeypatch.setattr(module, "PIECE", 700)
    return product


def by_id(made: dict[str, np.ndarray], ids: np.ndarray) -> np.ndarray:
    """Places of the ids in what was loaded."""
    order = np.argsort(made["id"])
    return order[np.searchsorted(made["id"], ids, sorter=order)]


def displacement(made: dict[str, np.ndarray], places: np.ndarray) -> np.ndarray:
    raw = made["series"][places]
    return np.where(raw == -32768, np.nan, raw / 10)


def test_every_column_has_its_meaning() -> None:
    assert set(FIELDS) == set(COLUMNS)


def test_geoparquet(database: Database, made: dict[str, np.ndarray], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    out = tmp_path / "points.parquet"
    done = points.export(database, FRAME, out, progress=lambda count, most: seen.append((count, most)))
    assert (done.points, done.dates) == (3000, 7)
    assert seen[-1] == (3000, 3000) and len(seen) == 5
    table = pq.read_table(out)
    assert table.num_rows == 3000 and pq.ParquetFile(out).metadata.num_row_groups == 5
    places = by_id(made, table["point_id"].to_numpy())
    np.testing.assert_array_equal(table["lon"].to_numpy(), made["lon"][places])
    assert table["velocity"].null_count == 1000
    np.testing.assert_array_equal(table["velocity_std"].to_numpy(), made["velocity_std"][places])
    mm = np.array([[np.nan if v is None else v for v in line] for line in table["displacement_mm"].to_pylist()])
    np.testing.assert_allclose(mm, displacement(made, places), rtol=1e-6)
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    np.testing.assert_array_equal(shapely.get_coordinates(shapes), np.column_stack([made["lon"], made["lat"]])[places])


def test_geoparquets_metadata_is_what_the_standard_asks_for(
    database: Database, made: dict[str, np.ndarray], tmp_path: Path
) -> None:
    out = tmp_path / "points.geoparquet"
    points.export(database, FRAME, out, polygon=BOX, quality=points.Quality(min_coherence=0.1))
    metadata = pq.ParquetFile(out).metadata.metadata
    geo = json.loads(metadata[b"geo"])
    assert geo["version"] == "1.1.0" and geo["primary_column"] == "geometry"
    column = geo["columns"]["geometry"]
    assert column["encoding"] == "WKB" and column["geometry_types"] == ["Point"]
    table = pq.read_table(out)
    bounds = shapely.total_bounds(shapely.from_wkb(table["geometry"].to_pylist()))
    assert column["bbox"] == bounds.tolist()
    own = json.loads(metadata[b"satdaemon"])
    assert own["frame"] == FRAME and len(own["dates"]) == 7 and own["dates"][1] == "2020-01-13"
    assert own["bounds_on"] == {"min_coherence": 0.1} and shapely.from_wkt(own["polygon"]).equals(BOX)
    assert table.schema.field("velocity").metadata[b"unit"] == b"mm/yr"
    wanted = shapely.intersects_xy(BOX, made["lon"], made["lat"]) & (made["coherence"] >= np.float32(0.1))
    assert sorted(table["point_id"].to_pylist()) == sorted(made["id"][wanted])


def test_csv(database: Database, made: dict[str, np.ndarray], tmp_path: Path) -> None:
    out = tmp_path / "points.csv"
    points.export(database, FRAME, out)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3000 and list(rows[0])[:4] == ["point_id", "lon", "lat", "height_m"] and list(rows[0])[-7] == "2020-01-01"
    places = by_id(made, np.array([int(row["point_id"]) for row in rows]))
    numbers = np.array([[float(value or "nan") for value in list(row.values())[-7:]] for row in rows])
    np.testing.assert_array_equal(numbers, displacement(made, places))
    np.testing.assert_allclose([float(row["lon"]) for row in rows], made["lon"][places], atol=1e-8)
    velocity = np.array([float(row["velocity"] or "nan") for row in rows], np.float32)
    np.testing.assert_array_equal(velocity, made["velocity"][places])


def test_zarr(database: Database, made: dict[str, np.ndarray], tmp_path: Path) -> None:
    out = tmp_path / "points.zarr"
    done = points.export(database, FRAME, out, polygon=BOX)
    group = zarr.open_group(out, mode="r")
    ids = np.asarray(group["point_id"][:])
    wanted = shapely.intersects_xy(BOX, made["lon"], made["lat"])
    assert sorted(ids) == sorted(made["id"][wanted]) and len(ids) == done.points
    places = by_id(made, ids)
    stored = group["displacement"]
    np.testing.assert_array_equal(stored[:], made["series"][places])
    assert stored.attrs["scale_factor"] == 0.1 and stored.attrs["_FillValue"] == -32768 and stored.attrs["units"] == "mm"
    assert stored.metadata.dimension_names == ("point", "time")
    days = np.datetime64("1970-01-01") + np.asarray(group["time"][:])
    assert [str(day) for day in days[:2]] == ["2020-01-01", "2020-01-13"]
    np.testing.assert_array_equal(group["velocity"][:], made["velocity"][places])
    assert group.attrs["frame"] == FRAME


@pytest.mark.parametrize("name", ["points.parquet", "points.csv", "points.zarr"])
def test_what_stands_there_is_replaced_only_when_told_to(
    database: Database, made: dict[str, np.ndarray], tmp_path: Path, name: str
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    out = place / name
    points.export(database, FRAME, out, with_series=False)
    before = sorted(place.rglob("*"))
    with pytest.raises(RequestError, match=r"exists already; --force replaces it"):
        points.export(database, FRAME, out, polygon=BOX)
    assert sorted(place.rglob("*")) == before
    done = points.export(database, FRAME, out, polygon=BOX, overwrite=True)
    assert 0 < done.points < 3000 and [p.name for p in place.iterdir()] == [name]


@pytest.mark.parametrize("name", ["points.parquet", "points.csv", "points.zarr"])
def test_one_that_fails_leaves_nothing(database: Database, made: dict[str, np.ndarray], tmp_path: Path, name: str) -> None:
    place = tmp_path / "out"
    place.mkdir()

    def full(count: int, most: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"cannot be written.*No space left"):
        points.export(database, FRAME, place / name, progress=full)
    assert list(place.iterdir()) == []
    with pytest.raises(RequestError, match="expected points to export, found none"):
        points.export(database, FRAME, place / name, polygon=shapely.box(1, 1, 2, 2))
    assert list(place.iterdir()) == []


def test_what_a_killed_one_left_is_removed(database: Database, made: dict[str, np.ndarray], tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = socket.gethostname()
    dead, alive = (place / f".points.csv.{host}-{pid}.part" for pid in (gone.pid, os.getppid()))
    other = place / f".points.csv.elsewhere-{gone.pid}.part"
    for file in (dead, alive, other):
        file.write_text("half")
    points.export(database, FRAME, place / "points.csv")
    assert sorted(p.name for p in place.iterdir()) == sorted(["points.csv", alive.name, other.name])


def test_places_that_will_not_do(database: Database, made: dict[str, np.ndarray], tmp_path: Path) -> None:
    for out, message in (
        (tmp_path / "points.xls", r"expected a name that ends with \.parquet"),
        (tmp_path / "points", "no suffix"),
        (tmp_path / "none" / "points.csv", "expected an existing directory"),
    ):
        with pytest.raises(RequestError, match=message):
            points.export(database, FRAME, out)
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(RequestError, match="expected a file to replace"):
        points.export(database, FRAME, tmp_path / "a.csv", overwrite=True)
    with pytest.raises(RequestError, match="none ingested yet"):
        points.export(database, "132A_NONE", tmp_path / "b.csv")
