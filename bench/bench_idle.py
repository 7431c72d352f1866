"""What a system at rest costs.   python -m bench.bench_idle [SECONDS]

`satdaemon up` with two machines and twenty frames that owe nothing; Prefect's server on SQLite. After a minute, the processor
time of each process over SECONDS (default 300: one turn of the planner's schedule is in it), ended children included. Prints
a line a process and one line of JSON: percent of a core, Prefect's server apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.bench_deployments import make_frames
from bench.bench_engine import make_system

FRAMES = 20
SETTLE_S = 60.0
SERVER = "deployments.prefect_server"
MOST_PERCENT = 3.0


def spent(root: psutil.Process) -> dict[str, float]:
    """Processor seconds of each process below `root`, what its ended children took included, by pid and command."""
    found = {}
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
            command = " ".join(process.cmdline()[1:5])
        except psutil.NoSuchProcess:
            continue
        found[f"{process.pid} {command}"] = times.user + times.system + times.children_user + times.children_system
    return found


def measure(up: subprocess.Popen[bytes], log: Path, seconds: float) -> dict[str, float]:
    """Percent of a core, by process. RuntimeError where the system ended."""
    root = psutil.Process(up.pid)
    time.sleep(SETTLE_S)
    before, began = spent(root), time.monotonic()
    time.sleep(seconds)
    after, took_s = spent(root), time.monotonic() - began
    if up.poll() is not None:
        raise RuntimeError(f"expected a system that stays up, it ended with {up.returncode}:\n{log.read_text()[-2000:]}")
    return {name: 100 * (cpu_s - before.get(name, 0.0)) / took_s for name, cpu_s in after.items()}


def main() -> None:
    """Run it and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    with tempfile.TemporaryDirectory(prefix="satdaemon-bench-") as name:
        settings = make_system(Path(name))
        make_frames(settings, FRAMES).close()
        argv = [sys.executable, "-m", "satdaemon.cli", "up", "-d", str(settings.source)]
        log = Path(name) / "up.log"
        with log.open("wb") as told:
            up = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
        try:
            percent = measure(up, log, seconds)
        finally:
            up.terminate()
            up.wait(120)
    for process, share in sorted(percent.items(), key=lambda item: -item[1]):
        print(f"{share:6.2f} %  {process}", file=sys.stderr)
    ours = sum(share for process, share in percent.items() if SERVER not in process)
    server = sum(share for process, share in percent.items() if SERVER in process)
    found = {"bench": "idle", "frames": FRAMES, "percent_of_a_core": round(ours, 2), "prefect_server": round(server, 2)}
    print(json.dumps({**found, "most": MOST_PERCENT}))


if __name__ == "__main__":
    main()
