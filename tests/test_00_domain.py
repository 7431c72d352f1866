"""Domain values: names, round trips through JSON, and how an exception becomes a failure."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satdaemon.domain import (
    FRAME_ID,
    ORBIT_S,
    Burst,
    Failure,
    Frame,
    Job,
    Pair,
    Resources,
    Scene,
    StageInput,
    StageResult,
    product_key,
    product_path,
)
from satdaemon.errors import CorruptProduct, Disposition, NotReady, NotUsable, OutOfMemory, RequestError
from satdaemon.status import RowKind, Stage

DAY1, DAY2 = date(2023, 1, 1), date(2023, 1, 13)

texts = st.text(max_size=12)
degrees = st.floats(-180, 180)
moments = st.datetimes(datetime(2014, 1, 1), datetime(2099, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
paths = st.from_regex(r"\A/[a-z ü]{1,8}(/[a-z]{1,8}){0,2}\Z").map(Path)
dates = st.dates(date(2014, 1, 1), date(2099, 1, 1))
bursts = st.builds(
    Burst,
    texts,
    st.integers(1, 175),
    st.sampled_from("AD"),
    st.integers(0, 59246),
    st.sampled_from(["IW1", "IW2", "IW3"]),
    st.none() | st.integers(1, 375887),
    st.lists(st.tuples(degrees, degrees), max_size=4).map(tuple),
)
scenes = st.builds(
    Scene,
    id=texts,
    date=dates,
    start_utc=moments,
    stop_utc=moments,
    platform=st.sampled_from(["S1A", "S1B"]),
    absolute_orbit=st.integers(1, 10**6),
    track=st.integers(1, 175),
    orbit_direction=st.sampled_from("AD"),
    proc_utc=st.none() | moments,
    url=texts,
    path=st.none() | paths,
    size=st.none() | st.integers(0, 10**10),
    checksum=st.none() | texts,
)
plain = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), texts)
inputs = st.builds(
    StageInput,
    job_id=st.integers(1, 2**60),
    attempt=st.integers(1, 20),
    stage=st.sampled_from(Stage),
    kind=st.sampled_from(RowKind),
    frame=st.builds(Frame, texts, st.integers(1, 175), st.sampled_from("AD"), st.lists(bursts, max_size=3).map(tuple)),
    master_date=dates,
    date1=st.none() | dates,
    date2=st.none() | dates,
    out_dir=paths,
    inputs=st.dictionaries(texts, paths, max_size=3),
    scenes=st.lists(scenes, max_size=2).map(tuple),
    settings=st.dictionaries(texts, plain | st.none() | st.booleans() | st.lists(plain, max_size=2), max_size=3),
    paths=st.dictionaries(texts, paths, max_size=3),
    polarisation=st.sampled_from(["vv", "hh"]),
    cores=st.integers(1, 64),
    memory_gb=st.floats(0.1, 512),
)
results = st.builds(
    StageResult,
    files=st.lists(texts, max_size=3).map(tuple),
    metrics=st.dictionaries(texts, plain, max_size=3),
    warnings=st.lists(texts, max_size=3).map(tuple),
    scenes=st.lists(scenes, max_size=2).map(tuple),
    processor=texts,
    processor_version=texts,
)


@settings(max_examples=60, deadline=None)
@given(inputs)
def test_a_stage_input_survives_json(value: StageInput) -> None:
    assert StageInput.from_json(json.loads(json.dumps(value.to_json()))) == value


@settings(max_examples=60, deadline=None)
@given(results)
def test_a_stage_result_survives_json(value: StageResult) -> None:
    assert StageResult.from_json(json.loads(json.dumps(value.to_json()))) == value


def test_json_has_every_field() -> None:
    frame = Frame("132A_X", 132, "A", (Burst("132_8603_IW1", 132, "A", 8603, "IW1"),))
    work = StageInput(1, 1, Stage.SLC, RowKind.IFG, frame, DAY1, DAY2, None, Path("/o"), {})
    assert set(work.to_json()) == {f.name for f in fields(StageInput)}
    assert set(work.to_json()["frame"]["bursts"][0]) == {f.name for f in fields(Burst)}
    assert set(StageResult(()).to_json()) == {f.name for f in fields(StageResult)}


def test_values_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Resources(1, 1, 1).cpu = 2  # type: ignore[misc]


@pytest.mark.parametrize(("text", "parts"), [("132_8603_IW1", (132, 8603, "IW1")), ("7_5_IW3", (7, 5, "IW3"))])
def test_a_burst_id(text: str, parts: tuple[int, int, str]) -> None:
    assert Burst.parse_id(text) == parts


@pytest.mark.parametrize(
    "text", ["", "132_8603", "132_8603_IW4", "132-8603-IW1", "x132_8603_IW1", "132_8603_IW1\n", "٣_1_IW1", "1_123456_IW1"]
)
def test_what_is_no_burst_id(text: str) -> None:
    with pytest.raises(RequestError, match="expected TRACK_ANX_SWATH such as 132_8603_IW1, got"):
        Burst.parse_id(text)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("132A_CUSTOM_FRAME", True),
        ("081D_X1", True),
        ("132A_", False),
        ("132A", False),
        ("32A_X", False),
        ("132B_X", False),
        ("132A_custom", False),
        ("132A__X", False),
        ("132A_X/../Y", False),
        ("132A_X\n", False),
        ("١٣٢A_X", False),
    ],
)
def test_a_frame_id(text: str, good: bool) -> None:
    assert (FRAME_ID.match(text) is not None) is good


def test_one_orbit_lasts_as_long_as_175_in_12_days_say() -> None:
    assert pytest.approx(12 * 86400) == 175 * ORBIT_S


@pytest.mark.parametrize(
    ("kind", "stage", "day1", "day2", "key"),
    [
        (RowKind.MASTER, Stage.SLC, DAY1, None, "20230101"),
        (RowKind.MASTER, Stage.COHERENCE, DAY1, None, "frame"),
        (RowKind.MASTER, Stage.INGEST, DAY1, None, "frame"),
        (RowKind.IFG, Stage.SATSAR, DAY2, None, "20230113"),
        (RowKind.RSAR_IFG, Stage.COHERENCE, DAY1, DAY2, "20230101_20230113"),
    ],
)
def test_the_place_of_a_product(kind: RowKind, stage: Stage, day1: date, day2: date | None, key: str) -> None:
    assert product_key(kind, stage, day1, day2) == key
    assert product_path(Path("/p"), "132A_X", stage, key) == Path(f"/p/132A_X/{stage}/{key}")


def test_a_product_without_its_dates_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a date"):
        product_key(RowKind.IFG, Stage.SLC, None, None)
    with pytest.raises(ValueError, match="needs two dates"):
        product_key(RowKind.RSAR_IFG, Stage.UNWRAP, DAY1, None)


def test_the_title_of_a_job() -> None:
    job = Job(1, "132A_DEMO", Stage.UNWRAP, RowKind.RSAR_IFG, DAY1, DAY2, 0, 1, Resources(1, 1, 1))
    assert job.title == "unwrap 132A_DEMO 20230101-20230113"
    whole = Job(1, "132A_DEMO", Stage.TIMESERIES, RowKind.MASTER, DAY1, None, 0, 1, Resources(1, 1, 1))
    assert whole.title == "timeseries 132A_DEMO" and whole.key == "frame"


def test_pairs_sort_in_time() -> None:
    later = Pair(DAY1, DAY2 + timedelta(days=12))
    assert sorted([later, Pair(DAY2, later.date2), Pair(DAY1, DAY2)]) == [Pair(DAY1, DAY2), later, Pair(DAY2, later.date2)]


@pytest.mark.parametrize(
    ("error", "disposition", "message"),
    [
        (CorruptProduct("bad zip"), Disposition.FAIL, "bad zip"),
        (NotUsable("no burst"), Disposition.EXCLUDE, "no burst"),
        (OutOfMemory("5 GB"), Disposition.RETRY, "5 GB"),
        (ZeroDivisionError(), Disposition.FAIL, "ZeroDivisionError"),
        (OSError(28, "No space left"), Disposition.FAIL, "[Errno 28] No space left"),
        (KeyboardInterrupt(), Disposition.FAIL, "KeyboardInterrupt"),
    ],
)
def test_the_failure_of_an_exception(error: BaseException, disposition: Disposition, message: str) -> None:
    with pytest.raises(type(error)) as caught:
        raise error
    got = Failure.from_exception(caught.value)
    assert (got.disposition, got.message, got.error_class) == (disposition, message, type(error).__name__)
    assert "test_00_domain.py" in got.traceback and got.retry_after_s is None


def test_the_failure_of_waiting_says_how_long() -> None:
    assert Failure.from_exception(NotReady("no orbit", retry_after_s=7)).retry_after_s == 7


def test_a_full_disk_is_waited_for() -> None:
    with pytest.raises(OSError) as caught, Path("/dev/full").open("w") as file:
        file.write("a")
        file.flush()
    got = Failure.from_exception(caught.value)
    assert (got.error_class, got.disposition) == ("DiskFull", Disposition.WAIT)
    assert "No space left" in got.message and "test_00_domain.py" in got.traceback
    assert Failure.from_exception(OSError("damaged")).disposition is Disposition.FAIL
