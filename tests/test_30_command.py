"""A site's own program: what it is started with, and what it must leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from satdaemon.config import StageSettings
from satdaemon.domain import Frame, StageInput
from satdaemon.errors import ConfigError, CorruptProduct, ProcessingError
from satdaemon.processors.command import arguments, collect, directory, fields, variables
from satdaemon.status import RowKind, Stage

ONE, OTHER = date(2023, 1, 1), date(2023, 1, 13)


@pytest.fixture
def job(tmp_path: Path) -> StageInput:
    out = tmp_path / "out dir"
    out.mkdir()
    inputs = {"siblings": tmp_path / "sib", "satsar/20230101": tmp_path / "one", "satsar/20230113": tmp_path / "other"}
    frame = Frame("132A_TEST", 132, "A", ())
    return StageInput(
        7, 2, Stage.COHERENCE, RowKind.RSAR_IFG, frame, ONE, ONE, OTHER, out, inputs, paths={"scratch": tmp_path / "scratch"}
    )


def command(**keys: object) -> StageSettings:
    return StageSettings.model_validate({"processor": "command", "command": "/opt/sar/run {input}", **keys})


def values(job: StageInput) -> dict[str, str]:
    return fields(job, job.out_dir.parent / "input.json")


def test_names_are_filled_in_after_splitting(job: StageInput, tmp_path: Path) -> None:
    found = arguments("prog '{out}' {frame}_{date1}-{date2} {{x}} {kind} {in_satsar1} {in_satsar2} '{in_slc}'", values(job))
    products = (str(tmp_path / "one"), str(tmp_path / "other"), "")
    assert found == ("prog", str(job.out_dir), "132A_TEST_20230101-20230113", "{x}", "rsar_ifg", *products)


@pytest.mark.parametrize("template", ["prog {nothing}", "prog {out.parent}", "prog {}", "prog {in_slk}"])
def test_an_unknown_name_is_refused_with_the_known_ones(job: StageInput, template: str) -> None:
    with pytest.raises(ConfigError, match=r"expected only .*\{in_siblings\}"):
        arguments(template, values(job))


def test_the_products_of_many_dates_are_only_in_the_input_file(job: StageInput, tmp_path: Path) -> None:
    series = replace(job, kind=RowKind.MASTER, date2=None, stage=Stage.TIMESERIES, inputs={"unwrap/20230101_20230113": tmp_path})
    assert {name for name, value in values(series).items() if name.startswith("in_") and value} == set()


def test_variables_and_directory(job: StageInput, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    settings = command(environment="THREADS={cores} 'TITLE={frame} a=b'", directory="{scratch}")
    assert variables(settings, values(job)) == {"THREADS": "1", "TITLE": "132A_TEST a=b"}
    assert directory(settings, values(job)) == tmp_path / "scratch"
    assert directory(command(), values(job)) == job.out_dir
    with pytest.raises(ConfigError, match="found none at"):
        directory(command(directory="/not/there"), values(job))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"environment": "1X=2"}, "NAME=VALUE"),
        ({"environment": "X"}, "NAME=VALUE"),
        ({"environment": "SATDAEMON_JOB_ID=3"}, "no SATDAEMON_ names"),
        ({"environment": "'X=1"}, "words as in a shell"),
        ({"outputs": "../x"}, "below"),
        ({"outputs": "/etc/x"}, "below"),
        ({"outputs": "x:many"}, "FILE:BYTES"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(keys: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        command(**keys)


def test_outputs_by_pattern_size_and_name(job: StageInput) -> None:
    settings = command(outputs="{date1}_*.tif:10, logs/run.log")
    with pytest.raises(ProcessingError, match=r"leave 20230101_\*.tif in its output directory, found nothing"):
        collect(job, settings)
    (job.out_dir / "20230101_a.tif").write_bytes(b"x" * 10)
    (job.out_dir / "20230101_b.tif").write_bytes(b"x" * 9)
    with pytest.raises(CorruptProduct, match=r"fill 20230101_b.tif, at least 10 bytes, found 9"):
        collect(job, settings)
    (job.out_dir / "20230101_b.tif").write_bytes(b"x" * 11)
    with pytest.raises(ProcessingError, match=r"leave logs/run.log .*, found 20230101_a.tif, 20230101_b.tif"):
        collect(job, settings)
    (job.out_dir / "logs").mkdir()
    (job.out_dir / "logs" / "run.log").touch()
    with pytest.raises(CorruptProduct, match=r"fill logs/run.log, at least 1 bytes, found it empty"):
        collect(job, settings)
    (job.out_dir / "logs" / "run.log").write_text("done")
    found = collect(job, settings)
    assert found.processor == "run" and "logs/run.log" in found.files
