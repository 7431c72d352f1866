"""Statuses, stages, legal moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from satdaemon.status import LEGAL_MOVES, STAGES_OF, ProcStatus, RowKind, Stage, is_legal_move, next_stage


def test_the_codes_are_fixed() -> None:
    assert {s.name: int(s) for s in ProcStatus} == {
        "WAITING": 0,
        "RUNNING": 1,
        "DONE": 2,
        "DONE_WITH_WARNINGS": 3,
        "FAILED": 4,
        "EXCLUDED": 5,
        "STALE": 6,
    }


def test_stages_and_rows_are_those_of_the_schema() -> None:
    assert [str(s) for s in Stage] == ["download", "slc", "satsar", "coherence", "unwrap", "timeseries", "ingest"]
    assert {k.value: [s.value for s in v] for k, v in STAGES_OF.items()} == {
        "master": ["download", "slc", "satsar", "coherence", "timeseries", "ingest"],
        "ifg": ["download", "slc", "satsar"],
        "rsar_ifg": ["coherence", "unwrap"],
    }
    for stages in STAGES_OF.values():
        assert list(stages) == sorted(stages, key=list(Stage).index), "in the order of the chain"


def test_done_is_done() -> None:
    assert [s for s in ProcStatus if s.is_done] == [ProcStatus.DONE, ProcStatus.DONE_WITH_WARNINGS]


def test_every_status_can_be_left_and_reached() -> None:
    assert set(LEGAL_MOVES) == set(ProcStatus)
    assert all(LEGAL_MOVES.values()), "nothing is stuck for ever"
    assert set().union(*LEGAL_MOVES.values()) == set(ProcStatus)
    assert not any(is_legal_move(s, s) for s in ProcStatus)


@pytest.mark.parametrize(
    ("old", "new", "legal"),
    [
        ("WAITING", "RUNNING", True),
        ("WAITING", "DONE", False),
        ("RUNNING", "WAITING", True),
        ("RUNNING", "STALE", False),
        ("DONE", "FAILED", False),
        ("DONE", "STALE", True),
        ("FAILED", "WAITING", True),
        ("FAILED", "RUNNING", False),
        ("FAILED", "DONE", False),
        ("EXCLUDED", "WAITING", True),
        ("EXCLUDED", "RUNNING", False),
        ("STALE", "WAITING", True),
        ("STALE", "DONE", True),
        ("STALE", "FAILED", False),
    ],
)
def test_moves(old: str, new: str, legal: bool) -> None:
    assert is_legal_move(ProcStatus[old], ProcStatus[new]) is legal


def test_only_a_running_row_gets_a_result() -> None:
    sources = {result: [old for old in ProcStatus if is_legal_move(old, result)] for result in ProcStatus}
    assert sources[ProcStatus.FAILED] == [ProcStatus.RUNNING]
    for result in (ProcStatus.DONE, ProcStatus.DONE_WITH_WARNINGS):
        assert sources[result] == [ProcStatus.RUNNING, ProcStatus.STALE], "or what it had serves again"


def test_next_stage() -> None:
    for kind, stages in STAGES_OF.items():
        assert [next_stage(kind, s) for s in stages] == [*stages[1:], None]
    with pytest.raises(ValueError, match="not in tuple"):
        next_stage(RowKind.IFG, Stage.UNWRAP)


def test_the_page_of_states_names_every_status() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "states.md").read_text()
    assert all(f"{int(s)}" in page and s.name in page for s in ProcStatus)
