"""Clocks that jump: a small library put before the C library in the processes of one host."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock_shim.c")


class Clock:
    """The wall clock of the processes that get `environment`; what they do not see is monotonic time."""

    def __init__(self, place: Path, library: Path) -> None:
        place.write_bytes(struct.pack("d", 0.0))
        place.chmod(0o644)
        self._place = place
        self.environment = {"LD_PRELOAD": str(library), "SATDAEMON_TEST_CLOCK": str(place)}

    def jump(self, to_s: float) -> None:
        """Stand `to_s` seconds beside the true time from now on."""
        with self._place.open("r+b") as file:
            file.write(struct.pack("d", to_s))


def build_library(place: Path) -> Path:
    """Compile the library; it needs no more than `cc`, which installing eos-sar needs too."""
    compiler = shutil.which("cc")
    assert compiler is not None, "expected a C compiler (cc) for a clock that jumps: install build-essential"
    library = place / "clock_shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    library.chmod(0o755)
    return library
