"""Only the bursts of a frame are fetched where the archive cuts them out: what comes, what the slc stage makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from burst_site import Site, assert_same_slc, burst_site, day_of, slc_of_whole
from sar_chain import Listener


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with burst_site(tmp_path / "site", monkeypatch) as found:
        yield found


@pytest.mark.parametrize("case", ["plain", "split", "missing_burst", "duplicate"])
def test_the_slc_is_that_of_the_whole_product(site: Site, case: str) -> None:
    day = day_of(case)
    told = Listener()
    result = site.download(day, told)
    assert result.scenes == () and len(result.partial) == len(site.listed(day)) and told.warnings == []
    assert_same_slc(site.slc(day), slc_of_whole(day))
