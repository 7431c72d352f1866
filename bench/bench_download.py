"""Our download against `curl` on the same file over loopback: speed as a ratio, and peak memory.

One line of JSON. `transfer`: the file written and counted into its MD5 meanwhile, against curl that only writes it.
`md5`: and made to last through a power cut, against curl and `sync FILE`; `sha256`: the same where the archive says no MD5.
`whole`: with MD5, and the zip tested too, against curl, md5sum, `unzip -tq` and `sync FILE` in turn. `disk_mb_s`: what the
disk itself takes, the same bytes written from memory and made to last: no download that lasts is faster. Each in a process
of its own, alternating, the best of some rounds; times are of the work, without the start of the interpreter. MD5 needs a
core beside the transfer's: `load` (of the machine, a core) says whether there was one.
Usage: python -m bench.bench_download [MEGABYTES]
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from satdaemon.archive.download import Download
from satdaemon.archive.mirrors import fetch
from satdaemon.archive.part import Part, Source
from satdaemon.archive.product import scene_of_name
from satdaemon.archive.tries import Manner
from satdaemon.simulator.archives.messages import Answer
from satdaemon.simulator.archives.server import Loopback
from satdaemon.simulator.archives.tally import Tally

NAME = "S1A_IW_SLC__1SDV_20230108T135249_20230108T135316_046693_0598D3_BA76"
MEGABYTES = 256
ROUNDS = 9
LEAST_RATIO = 0.8
MOST_MEMORY_MB = 200
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run."""

    wall_s: float
    cpu_s: float
    memory_mb: float


def serve(server: Loopback) -> None:
    """In a process of its own, until it is ended: the server is not what is measured."""
    with server:
        threading.Event().wait()


def make_product(folder: Path, megabytes: int) -> Path:
    """A product zip of pixels that cannot be compressed."""
    path = folder / f"{NAME}.zip"
    rng = random.Random(0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{NAME}.SAFE/manifest.safe", "<manifest/>")
        with archive.open(f"{NAME}.SAFE/measurement/s1a-iw1-slc-vv.tiff", "w", force_zip64=True) as member:
            for _ in range(megabytes):
                member.write(rng.randbytes(1 << 20))
    return path


def md5_of(path: Path) -> str:
    """`md5:hex`."""
    with path.open("rb") as file:
        return "md5:" + hashlib.file_digest(file, "md5").hexdigest()


class Fleeting(Part):
    """A part that may be lost by a power cut, as what curl writes."""

    def settle(self) -> None:
        """Leave it to the system when it reaches the disk."""


def ours(source: Source, folder: Path, kind: str, results: Connection) -> None:
    """One download, measured in this process."""
    scene = scene_of_name(Path(f"{NAME}.zip"))
    assert scene is not None
    started, cpu = time.perf_counter(), time.process_time()
    if kind == "whole":
        fetch([source], scene, folder)
    else:
        path = folder / f".{NAME}.zip.part"
        path.touch()
        part = (Fleeting if kind == "transfer" else Part)(path, source)
        Download(source, part, Manner()).run()
        part.close()
    used_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.send(Cost(time.perf_counter() - started, time.process_time() - cpu, used_mb))


def run_ours(source: Source, folder: Path, kind: str) -> Cost:
    """In a process of its own, in an empty directory."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        here, there = FORK.Pipe(duplex=False)
        job = FORK.Process(target=ours, args=(source, Path(place), kind, there))
        job.start()
        there.close()
        cost: Cost = here.recv()
        job.join()
    return cost


def run_theirs(source: Source, folder: Path, kind: str) -> Cost:
    """Curl, and the programs that check what came and make it last."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        target = Path(place, f"{NAME}.zip")
        commands = [["curl", "-sS", "--fail", "-o", str(target), source.url]]
        commands += [["md5sum", str(target)], ["unzip", "-tq", str(target)]] if kind == "whole" else []
        commands += [["sync", str(target)]] if kind != "transfer" else []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        for command in commands:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall_s = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 0.0)


def disk_mb_s(size: int, folder: Path) -> float:
    """Megabytes a second that the disk takes, the best of the rounds."""
    block, best_s = os.urandom(1 << 20), float("inf")
    for _ in range(ROUNDS):
        with tempfile.TemporaryFile(dir=folder) as file:
            started = time.perf_counter()
            for _ in range(size >> 20):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            best_s = min(best_s, time.perf_counter() - started)
    return round((size >> 20 << 20) / 1e6 / best_s)


def compare(source: Source, folder: Path, kind: str) -> dict[str, float]:
    """The best of both over the rounds."""
    pairs = [(run_theirs(source, folder, kind), run_ours(source, folder, kind)) for _ in range(ROUNDS)]
    curl_s, our_s = (min(pair[k].wall_s for pair in pairs) for k in (0, 1))
    megabytes = (source.size or 0) / 1e6
    return {
        "ours_over_curl": round(curl_s / our_s, 2),
        "curl_mb_s": round(megabytes / curl_s),
        "ours_mb_s": round(megabytes / our_s),
        "curl_cpu_s": round(min(pair[0].cpu_s for pair in pairs), 2),
        "ours_cpu_s": round(min(pair[1].cpu_s for pair in pairs), 2),
        "ours_memory_mb": round(max(pair[1].memory_mb for pair in pairs)),
    }


def main() -> int:
    """Run the bench; fails below LEAST_RATIO of curl's speed and above MOST_MEMORY_MB."""
    if shutil.which("curl") is None:
        print("download: curl is not installed, nothing to compare with: apt-get install curl", file=sys.stderr)
        return 0
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES
    with tempfile.TemporaryDirectory(prefix="bench-download-") as place:
        path = make_product(Path(place), megabytes)
        size = path.stat().st_size
        server = Loopback(lambda call: Answer(file=path, length=size), Tally())
        serving = FORK.Process(target=serve, args=(server,), daemon=True)
        serving.start()
        source = Source("bench", f"{server.base}/{path.name}", size, md5_of(path))
        disk = disk_mb_s(size, Path(place))
        try:
            found = {
                "transfer": compare(source, Path(place), "transfer"),
                "md5": compare(source, Path(place), "md5"),
                "sha256": compare(replace(source, checksum=None), Path(place), "sha256"),
            }
            if shutil.which("unzip") is not None:
                found["whole"] = compare(source, Path(place), "whole")
        finally:
            serving.terminate()
            serving.join()
    load = round(os.getloadavg()[0] / (os.cpu_count() or 1), 1)
    print(json.dumps({"bench": "download", "megabytes": megabytes, "load": load, "disk_mb_s": disk, **found}))
    is_good = all(one["ours_memory_mb"] < MOST_MEMORY_MB for one in found.values())
    is_fast = all(found[kind]["ours_over_curl"] >= LEAST_RATIO for kind in ("transfer", "md5"))
    return 0 if is_good and is_fast else 1


if __name__ == "__main__":
    sys.exit(main())
