"""The environment that a job's program gets: who it is, where its software is, how many threads it may use."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from satdaemon.config import Settings
from satdaemon.domain import StageInput
from satdaemon.joblog import ENV_CONFIG, JobContext
from satdaemon.status import Stage

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "GDAL_NUM_THREADS",
    "BLOSC_NTHREADS",
)

LOGINS = ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "EARTHDATA_PASSWORD", "CDSE_USERNAME", "CDSE_PASSWORD", "NETRC")
"""Variables that hold archives' logins, or say where they are."""


def whole_cores(cpu: float) -> int:
    """Threads for a share of cores: at least one."""
    return max(math.ceil(cpu), 1)


def job_environment(
    settings: Settings, job: StageInput, context: JobContext, scratch: Path, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Variables for a job's program, on top of this process's own."""
    environment = dict(os.environ if base is None else base)
    if job.stage is not Stage.DOWNLOAD or settings.stage(job.stage).processor != "builtin":
        # Logins of archives are for our own downloads; what else wants one is given it by name ([STAGE] environment).
        environment = {name: value for name, value in environment.items() if name not in LOGINS}
    environment.update(context.to_environment())
    if settings.source is not None:
        environment[ENV_CONFIG] = str(settings.source)
    environment.update(dict.fromkeys(_THREADS, str(job.cores)))
    environment["TMPDIR"] = str(scratch)
    environment["PYTHONUNBUFFERED"] = "1"
    # The site's programs first; behind all, where the command `satdaemon` is, for `satdaemon joblog`.
    places = [*settings.parameters.software_path, environment.get("PATH", os.defpath), str(Path(sys.executable).parent)]
    environment["PATH"] = os.pathsep.join(places)
    return environment
