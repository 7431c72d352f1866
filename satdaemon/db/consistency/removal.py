"""Deleting what a check named, and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select

from satdaemon.db.consistency.report import Report
from satdaemon.db.models import Product, RunningJob
from satdaemon.db.store import Store
from satdaemon.errors import RequestError


def check_paths(db: Store, report: Report, paths: Sequence[Path]) -> list[Path]:
    """The paths as they are to be deleted. RequestError, and nothing is deleted, where one may not be.

    A path must be named by the report as one that may be deleted, and lie within the processing directory; a
    symbolic link is not followed.
    """
    root = db.settings.parameters.processing_path.resolve()
    named = {_plain(f.path): f for f in report.findings if f.path is not None and f.deletable}
    wanted = [_plain(path) for path in paths]
    for path in wanted:
        if path not in named:
            raise RequestError(
                f"{path}: expected a path that this check reports as one that may be deleted, got another; "
                "satdaemon check-consistency lists them"
            )
        if root not in path.parents:
            raise RequestError(f"{path}: expected a path within the processing directory {root}; delete it by hand")
    return wanted


def delete_paths(db: Store, report: Report, paths: Sequence[Path]) -> list[Path]:
    """Delete files and directories that `check_paths` allows; those deleted.

    RequestError where meanwhile a job works in such a directory, or the database has a product there.
    """
    wanted = check_paths(db, report, paths)
    for path in wanted:
        _refuse_used(db, path)
    for path in wanted:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return wanted


def _refuse_used(db: Store, path: Path) -> None:
    with db.read_scope() as session:
        for job_id, attempt in session.execute(select(RunningJob.job_id, RunningJob.attempt)):
            if path.name == f"{job_id}-{attempt}":
                raise RequestError(f"{path}: job {job_id} works there now")
        for (place,) in session.execute(select(Product.path).where(Product.path.startswith(str(path), autoescape=True))):
            if path == _plain(Path(place)) or path in _plain(Path(place)).parents:
                raise RequestError(f"{path}: the database has the product {place}; it is no leftover")


def _plain(path: Path) -> Path:
    """Absolute, with the links of its parents followed, and its own not."""
    full = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the last link
    return full.parent.resolve() / full.name
