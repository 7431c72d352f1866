"""What a kernel with control groups (version 2) does to jobs: run as root by test_50_cgroup, here or in a small machine.

    python cgroup_trial.py CGROUP_ROOT SCRATCH      the findings go to SCRATCH/found.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from satdaemon.runner.cgroup import CONTROLLERS, ENV_CGROUP, delegation
from satdaemon.runner.launch import start_program
from satdaemon.runner.order import Order

NOBODY = 65534
LIMIT_GB = 0.1
HOG = "import sys\nwith open(sys.argv[1], 'wb') as file:\n for _ in range(40):\n  file.write(bytes(10_000_000))"
"""Fills a file system that is memory: no measuring of processes sees that."""


def unit(root: Path) -> Path:
    """A group as systemd makes it for a unit with Delegate=yes and a user: the user owns it, its process is in it."""
    place = root / f"trial-{os.getpid()}"
    place.mkdir()
    for file in (place, *(place / name for name in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"))):
        os.chown(file, NOBODY, NOBODY)
    return place


def as_a_service(place: Path) -> dict[str, Any]:
    """What a worker finds that systemd started so."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        (place / "cgroup.procs").write_text("0")
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        found = delegation()
        again = Path("/proc/self/cgroup").read_text().strip().rsplit("/", 1)[-1]
        enabled = (place / "cgroup.subtree_control").read_text().split()
        os.write(send, json.dumps([found.path == str(place), list(found.controllers), again, enabled]).encode())
        os._exit(0)
    os.close(send)
    os.waitpid(child, 0)
    return {"service": json.loads(os.read(receive, 4096))}


def run(scratch: Path, *argv: str, **changes: Any) -> dict[str, Any]:
    """One job under guard, in a group of its own."""
    log = scratch / "log"
    log.unlink(missing_ok=True)
    order = Order(str(log), dict(os.environ), str(scratch), LIMIT_GB, 60.0, argv=argv, cgroup=delegation().path, **changes)
    ended = start_program(order).wait(60.0)
    assert ended is not None
    how = {"killed_for": ended.killed_for, "code": ended.return_code, "signal": ended.signal, "kernel": ended.kernel_kills}
    return {**how, "gb": ended.peak_memory_gb, "said": log.read_text().split()}


def main() -> None:
    """Try it all."""
    root, scratch = Path(sys.argv[1]), Path(sys.argv[2])
    (root / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in CONTROLLERS))
    place = unit(root)
    found = as_a_service(place)
    os.environ[ENV_CGROUP] = str(place)
    memory = scratch / "memory"
    memory.mkdir()
    os.system(f"mount -t tmpfs none {memory}")
    files = "memory.max memory.swap.max cpu.max pids.max"
    own = f'd={root}/$(sed -n "s/^0:://p" /proc/self/cgroup); for f in {files}; do cat "$d/$f"; done'
    hog = (sys.executable, "-c", HOG, f"{memory}/file")
    found["limits"] = run(scratch, "sh", "-c", own, cores=2)
    found["hog"] = run(scratch, *hog)
    os.system(f"rm -f {memory}/file")
    found["of a child"] = run(scratch, "sh", "-c", '"$@"; echo survived', "sh", *hog)
    os.system(f"umount {memory}")
    found["left"] = [group.name for group in place.glob("job-*")]
    (scratch / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
