"""The rules by which rows move on the evidence of products, and how a product is looked at; without a database."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from products_made import write_product

from satdaemon.db.consistency import layout
from satdaemon.db.consistency.contents import UNMEASURED, Expected, State, Verdict, examine
from satdaemon.db.consistency.decide import claimed, decide, furthest
from satdaemon.db.consistency.evidence import legal_route
from satdaemon.db.consistency.report import Place
from satdaemon.db.models import Product
from satdaemon.db.products import measure
from satdaemon.processors.base import METADATA_NAME
from satdaemon.runner.attempt import ATTEMPTS
from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage, is_legal_move

HAS = (ProcStatus.DONE, ProcStatus.DONE_WITH_WARNINGS, ProcStatus.STALE)
LOOKS = [
    (State.VALID, False), (State.VALID, True), (State.OUTDATED, True), (State.BAD, False), (State.MISSING, False),
    (State.OTHER_MASTER, False),
]  # fmt: skip


@st.composite
def rows(draw: st.DrawFn) -> tuple[RowKind, Place, dict[int, Verdict]]:
    """A row that stands anywhere, and what a look at each of its products gave."""
    kind = draw(st.sampled_from(list(RowKind)))
    last = len(STAGES_OF[kind])
    stage, status = draw(st.integers(1, last)), draw(st.sampled_from(list(ProcStatus)))
    stale_from = draw(st.integers(1, stage)) if status is ProcStatus.STALE else None
    looks = draw(st.lists(st.sampled_from(LOOKS), min_size=last, max_size=last))
    verdicts = {n: Verdict(state, Path("x"), "why", is_news=news) for n, (state, news) in enumerate(looks, start=1)}
    return kind, Place(stage, status, stale_from), verdicts


@given(rows())
def test_a_decision_is_legal_true_and_final(row: tuple[RowKind, Place, dict[int, Verdict]]) -> None:
    kind, place, verdicts = row
    decision = decide(kind, place, verdicts)
    if place.status is ProcStatus.EXCLUDED:
        assert decision is None
        return
    after = place if decision is None else decision.after
    if decision is not None:
        assert after != place and decision.why
        assert after.status in (ProcStatus.WAITING, ProcStatus.DONE, ProcStatus.STALE)
        route = legal_route(place.status, after.status)
        assert all(is_legal_move(old, new) for old, new in pairwise(route))
        assert not {ProcStatus.FAILED, ProcStatus.EXCLUDED} & set(route[1:])
    assert after.status is not ProcStatus.RUNNING
    # What a row says is there serves, and nothing is said to be done without a product that showed it.
    assert claimed(after) <= furthest(kind, verdicts)
    if after.status in HAS and claimed(after) > claimed(place):
        assert verdicts[after.stage].is_news
    if after.status is ProcStatus.STALE:
        assert after.stale_from is None or after.stale_from == 1 or verdicts[after.stale_from - 1].serves
    for verdict in verdicts.values():  # as the next check finds them, once the database knows them
        verdict.state = State.VALID if verdict.serves else verdict.state
        verdict.is_news = False
    assert decide(kind, after, verdicts) is None


@given(st.sampled_from(list(ProcStatus)), st.sampled_from([ProcStatus.WAITING, ProcStatus.DONE, ProcStatus.STALE]))
def test_a_route_is_the_shortest_chain_of_legal_moves(old: ProcStatus, new: ProcStatus) -> None:
    route = legal_route(old, new)
    assert (route[0], route[-1]) == (old, new) and len(set(route)) == len(route)
    if is_legal_move(old, new) and old is not new:
        assert route == (old, new)


def test_what_waits_goes_through_running() -> None:
    assert legal_route(ProcStatus.WAITING, ProcStatus.DONE) == (ProcStatus.WAITING, ProcStatus.RUNNING, ProcStatus.DONE)


def test_a_disk_that_does_not_answer_decides_nothing() -> None:
    verdicts = {n: Verdict(State.MISSING, Path("x"), "gone") for n in (1, 2, 3)}
    assert decide(RowKind.IFG, Place(3, ProcStatus.DONE), verdicts) is not None
    verdicts[2].state = State.UNSURE
    assert decide(RowKind.IFG, Place(3, ProcStatus.DONE), verdicts) is None


def test_names_are_those_that_processors_and_runner_use() -> None:
    assert (layout.METADATA, layout.ATTEMPTS) == (METADATA_NAME, ATTEMPTS)


@pytest.mark.parametrize(
    ("name", "is_key"),
    [("20230101", True), ("20230101_20230113", True), ("frame", True), ("20231301", False), ("20230101_", False),
     ("2023010", False), ("20230101.old", False), ("frames", False), ("20230101_20230113_x", False)],
)  # fmt: skip
def test_keys_are_dates_pairs_and_frame(name: str, is_key: bool) -> None:
    assert layout.is_key(name) is is_key


MASTER = date(2023, 1, 13)
KEY = "20230101"


def satsar(root: Path, **more: object) -> Path:
    return write_product(root / "132A_TEST" / "satsar" / KEY, Stage.SATSAR, KEY, master=MASTER, **more)  # type: ignore[arg-type]


def look(place: Path, record: Product | None = None, *, deep: bool = False, outputs: tuple[str, ...] = ()) -> Verdict:
    expected = Expected("132A_TEST", Stage(place.parent.name), place.name, record, MASTER.isoformat(), outputs)
    return examine(place, expected, deep=deep)


def recorded(place: Path, **columns: object) -> Product:
    found = measure(place)
    values = {
        "processor": "test", "processor_version": "1", "inputs": {}, "created_utc": datetime(2023, 7, 1, tzinfo=UTC),
        "files": found.files, "bytes": found.bytes, "checksum": found.checksum, **columns,
    }  # fmt: skip
    return Product(**values)


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_product_is_whole(tmp_path: Path, deep: bool) -> None:
    place = satsar(tmp_path)
    alone, known = look(place, deep=deep), look(place, recorded(place), deep=deep)
    assert (alone.state, alone.is_news) == (State.VALID, True), alone.why
    assert (known.state, known.is_news) == (State.VALID, False), known.why
    assert (alone.checksum == UNMEASURED) is not deep
    assert look(place.parent / "20230125").state is State.MISSING


def test_a_product_that_nobody_vouches_for_is_not_taken(tmp_path: Path) -> None:
    place = satsar(tmp_path)
    record = recorded(place)
    about = json.loads((place / "product.json").read_text())
    for change, why in (
        ({"frame": "999D_X"}, "of another product"), ({"key": "20230125"}, "of another product"),
        ({"files": {}}, "lists no files"), ({"files": {"gone.tif": {}}}, "lacks gone.tif"),
        ({"files": {"image.tif": {"bytes": 1}}}, "expected 1 bytes"), ({"files": {"image.tif": {"shape": [1, 2]}}}, "shape"),
    ):  # fmt: skip
        (place / "product.json").write_text(json.dumps(about | change))
        verdict = look(place)
        assert verdict.state is State.BAD and why in verdict.why, (change, verdict.why)
    (place / "product.json").unlink()
    assert "has no product.json" in look(place).why
    # Recorded as it stands, it needs no word of its own; a site's program vouches by the outputs that it must leave.
    assert look(place, recorded(place)).state is State.VALID
    assert look(place, record).state is State.BAD
    assert look(place, outputs=("image.tif",)).state is State.VALID
    assert look(place, outputs=("image.tif", "other.tif")).state is State.BAD


def test_a_product_json_of_another_form_is_no_witness(tmp_path: Path) -> None:
    place = satsar(tmp_path)
    (place / "product.json").write_text(json.dumps({"frame": 3, "stage": "ours", "processor": "x", "settings": [1]}))
    assert look(place, recorded(place)).state is State.VALID
    assert look(place).state is State.BAD


def test_what_viewers_leave_is_no_damage(tmp_path: Path) -> None:
    place = satsar(tmp_path)
    record = recorded(place)
    (place / "image.tif.aux.xml").write_text("<PAMDataset/>")
    (place / "notes.txt").write_text("nice")
    for deep in (False, True):
        for verdict in (look(place, record, deep=deep), look(place, deep=deep)):
            assert verdict.state is State.VALID and verdict.extras == ("image.tif.aux.xml", "notes.txt"), verdict.why
            assert (verdict.files, verdict.bytes) == (record.files, record.bytes)
            assert verdict.checksum in (UNMEASURED, record.checksum)
    (place / "image.tif.aux.xml").unlink()
    (place / "product.json").write_text("{}")
    bare = recorded(place)
    (place / "image.tif.ovr").write_text("x")
    assert look(place, bare).state is State.VALID and look(place, bare).extras == ("image.tif.ovr",)


def test_another_master_or_program_than_recorded_is_told(tmp_path: Path) -> None:
    place = satsar(tmp_path)
    assert look(place, recorded(place, processor_version="2")).state is State.BAD
    assert "previous" in look(place, recorded(place, inputs={"settings": {"previous": 4}})).why
    assert look(place, recorded(place, inputs={"settings": {"threshold": 4}})).state is State.VALID
    assert look(place, recorded(place, created_utc=datetime(2020, 1, 1, tzinfo=UTC), bytes=1)).is_news
    write_product(place, Stage.SATSAR, KEY, master=date(2023, 1, 1))
    assert look(place, recorded(place)).state is State.OTHER_MASTER


@pytest.mark.parametrize(
    ("file", "damage", "quick"),
    [
        ("image.tif", lambda data: data[: len(data) // 2], True),
        ("image.tif", lambda data: b"\0" * 64 + data[64:], True),
        ("store.zarr/data/zarr.json", lambda data: data[: len(data) // 2], True),
        ("store.zarr/data/c/1/0", lambda data: b"", True),
        ("store.zarr/data/c/1/0", lambda data: b"\xff" * len(data), False),
        ("image.tif", lambda data: data[:-600] + b"\xff" * 600, False),
    ],
)
def test_damage_that_a_quick_or_only_a_deep_look_finds(tmp_path: Path, file: str, damage: object, quick: bool) -> None:
    place = satsar(tmp_path)
    path = place / file
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert look(place, deep=True).state is State.BAD
    if quick:
        verdict = look(place)
        assert verdict.state is State.BAD and path.parts[-1].split(".")[0] in f"{verdict.why} 0 zarr"


def test_points_and_series_belong_together(tmp_path: Path) -> None:
    place = write_product(tmp_path / "132A_TEST" / "ingest" / "frame", Stage.INGEST, "frame", master=MASTER)
    assert look(place).state is State.VALID
    series = place / "series.npy"
    whole = series.read_bytes()
    series.write_bytes(whole[:-2])
    assert "series.npy" in look(place).why
    np.save(series, np.zeros((5, 1), np.int16))
    about = json.loads((place / "product.json").read_text())
    about["files"]["series.npy"] = {}
    (place / "product.json").write_text(json.dumps(about))
    assert "expected series of 6 points" in look(place).why
    series.write_bytes(whole)
    points = place / "points.parquet"
    points.write_bytes(points.read_bytes()[:-4])
    assert "points.parquet" in look(place).why


def test_a_download_is_its_zips(tmp_path: Path) -> None:
    place = write_product(tmp_path / "132A_TEST" / "download" / KEY, Stage.DOWNLOAD, KEY, master=MASTER)
    zip_file = tmp_path / "scene.zip"
    zip_file.write_bytes(b"x" * 10)
    listed = {"scenes": [{"id": "a", "path": str(zip_file), "size": 10}], "orbit": {}}
    (place / "download.json").write_text(json.dumps(listed))
    assert look(place).state is State.VALID
    zip_file.write_bytes(b"x" * 9)
    assert "expected 10 bytes, got 9" in look(place).why
    zip_file.unlink()
    assert "is not there" in look(place).why


def test_real_processors_leave_what_is_whole(stack_chain: object) -> None:
    chain = stack_chain.chain  # type: ignore[attr-defined]
    frame = chain.root / "132A_TEST"
    found = layout.look(frame)
    assert not found.odd and {stage for stage, _ in found.products} >= {Stage.COHERENCE, Stage.UNWRAP, Stage.INGEST}
    for (stage, key), place in found.products.items():
        if stage is Stage.SATSAR:
            continue  # made by the test
        expected = Expected("132A_TEST", stage, key, None, chain.master.isoformat())
        for deep in (False, True):
            verdict = examine(place, expected, deep=deep)
            assert verdict.state is State.VALID, (stage, key, verdict.why)
