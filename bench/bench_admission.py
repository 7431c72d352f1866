"""Admission by the database beside "submit everything to Dask".   python -m bench.bench_admission [JOBS] [--scale S]

A mix of unlike jobs for four unlike machines (bench/admission/mix.py); jobs sleep, machines are real Dask workers with
resources. Once all are submitted at once with resources and priority; once each goes where the grant pass sends it, with
every move in the database. Both are held against a lower bound and against a greedy schedule without any overhead.
Then what a pass costs that looks at 5,000 pending jobs. Prints one line of JSON; exit code 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from distributed import Client
from postgres import cluster
from sqlalchemy import text

from bench.admission import bodies, passes
from bench.admission.mix import MACHINES, Ran, Sleeper, greedy, inversions, lower_bound_s, makespan_s, mix, over_committed
from bench.admission.planned import planned
from deployments.services import dask_scheduler, free_port
from satdaemon.config import Settings, load
from satdaemon.db import Database, init_database, jobs
from satdaemon.machines.cluster import RESOURCE_NAMES, worker_address
from satdaemon.machines.supervisor import Supervisor

MOST_OF_GREEDY, MOST_INVERSIONS = 1.05, 0.10
SLACK = 0.03
"""Jobs that begin within this, times the scale, begin together."""
_START_S = 600.0


def make_settings(place: Path, url: str) -> Settings:
    """A configuration of the mix's machines."""
    place.mkdir(exist_ok=True)
    config = place / "satdaemon.cfg"
    columns = [", ".join(f"{size[k]:g}" for size in MACHINES.values()) for k in range(3)]
    config.write_text(
        f"[PARAMETERS]\ndatabase = {url}\ndask_scheduler = tcp://127.0.0.1:{free_port('127.0.0.1')}\n"
        "service_path = services\nprocessing_path = processing\nlog_path = logs\nframe_concurrency = 500\nlease_s = 600\n"
        f"[PROC_MACHINES]\nnames = {', '.join(MACHINES)}\n"
        f"cpu = {columns[0]}\nmemory_gb = {columns[1]}\ndisk = {columns[2]}\n"
    )
    settings = load(config)
    init_database(settings).close()
    return settings


@contextmanager
def running(settings: Settings) -> Iterator[Client]:
    """Scheduler and workers: the workers of all machines in one process, so that starting them does not take long."""
    supervisor = Supervisor(lambda line: print(line, file=sys.stderr))
    workers: subprocess.Popen[bytes] | None = None
    try:
        supervisor.add(dask_scheduler(settings))
        address = settings.parameters.dask_scheduler
        workers = subprocess.Popen([sys.executable, "-m", "bench.admission.workers", address], stdout=sys.stderr)
        with Client(address, timeout=_START_S, set_as_default=False) as client:
            client.wait_for_workers(len(MACHINES), timeout=_START_S)
            client.gather([client.submit(bodies.sleep, n, 0.0, pure=False) for n in range(50)])
            yield client
    finally:
        if workers is not None:
            workers.kill()
            workers.wait(30)
        supervisor.stop()


def resources(job: Sleeper) -> dict[str, float]:
    """What Dask is told that the job needs."""
    return dict(zip(RESOURCE_NAMES, job.need, strict=True))


def all_at_once(client: Client, made: list[Sleeper]) -> list[Ran]:
    """Everything to Dask, which is to sort it out."""
    futures = [
        client.submit(
            bodies.sleep, j.number, j.lasts_s, resources=resources(j), priority=j.priority, pure=False, key=f"all-{j.number}"
        )
        for j in made
    ]
    return [Ran(made[n], began, ended, machine) for n, began, ended, machine in client.gather(futures)]


def fill_queue(db: Database, made: list[Sleeper]) -> dict[int, Sleeper]:
    """The mix as pending jobs, a frame a priority; which job is which."""
    passes.set_machines(db)
    of_priority = {p: [j for j in made if j.priority == p] for p in range(10)}
    frames = passes.queue(db, 10, max(len(mine) for mine in of_priority.values()))
    found: dict[int, Sleeper] = {}
    with db.session_scope() as session:
        for priority, frame_id in enumerate(frames):
            sql = text("SELECT job_id FROM pending_jobs WHERE frame_id = :f ORDER BY job_id")
            ids = list(session.execute(sql, {"f": frame_id}).scalars())
            found |= dict(zip(ids, of_priority[priority], strict=False))
            for job_id in ids[len(of_priority[priority]) :]:
                session.execute(text("UPDATE pending_jobs SET held = :yes WHERE job_id = :j"), {"yes": True, "j": job_id})
        for job_id, job in found.items():
            cpu, memory_gb, disk = job.need
            values = {"c": cpu, "m": memory_gb, "d": disk, "p": job.priority, "j": job_id}
            sql = text(
                "UPDATE pending_jobs SET cpu = :c, memory_gb = :m, disk = :d, priority = :p, space_gb = 0 WHERE job_id = :j"
            )
            session.execute(sql, values)
    return found


def admitted(client: Client, db: Database, made: list[Sleeper]) -> list[Ran]:
    """Each job goes where the grant pass sends it; every move is the database's."""
    job_of = fill_queue(db, made)
    address = {name: worker_address(client, name) for name in MACHINES}
    ended: queue.Queue[tuple[int, float, float, str]] = queue.Queue()
    ran: list[Ran] = []
    flying = 0
    while len(ran) < len(made):
        for grant in jobs.grant_pass(db):
            job = job_of[grant.job_id]
            future = client.submit(
                bodies.sleep_and_finish, job.number, job.lasts_s, str(db.settings.source), grant.job_id, grant.attempt,
                resources=resources(job), priority=job.priority, pure=False,
                workers=[address[grant.machine]], key=f"granted-{job.number}",
            )  # fmt: skip
            future.add_done_callback(lambda f: ended.put(f.result()))
            flying += 1
        assert flying, "nothing runs and nothing is granted"
        found = [ended.get(timeout=600)]
        while not ended.empty():
            found.append(ended.get())
        flying -= len(found)
        ran += [Ran(made[number], began, end, machine) for number, began, end, machine in found]
    return ran


def judged(ran: list[Ran], made: list[Sleeper], scale: float) -> dict[str, Any]:
    """A run beside the lower bound and the greedy schedule."""
    best_s, lower_s = makespan_s(greedy(made)), lower_bound_s(made)
    count = inversions(ran, SLACK * scale)
    return {
        "makespan_s": round(makespan_s(ran), 2),
        "of_greedy": round(makespan_s(ran) / best_s, 3),
        "of_lower_bound": round(makespan_s(ran) / lower_s, 3),
        "inversions": count,
        "inversions_share": round(count / len(ran), 3),
        "over_committed": over_committed(ran),
    }


def main() -> int:
    """Run all and print it."""
    parser = argparse.ArgumentParser(description="Admission by the database against submitting everything to Dask.")
    parser.add_argument("jobs", nargs="?", type=int, default=300)
    parser.add_argument("--scale", type=float, default=4.0, help="jobs last 0.05 to 1 s times this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--without-dask", action="store_true", help="leave out the run that submits everything to Dask")
    arguments = parser.parse_args()
    made = mix(arguments.jobs, arguments.seed, arguments.scale)
    with tempfile.TemporaryDirectory(prefix="satdaemon-bench-") as name, ExitStack() as stack:
        place = Path(name)
        urls = [f"sqlite:///{place / (part + '.sqlite')}" for part in ("run", "passes")]
        if arguments.postgresql:
            server = stack.enter_context(cluster())
            for part in ("run", "passes"):
                server.sql(f"CREATE DATABASE {part}")
            urls = [server.url(part) for part in ("run", "passes")]
        settings = make_settings(place / "run", urls[0])
        with running(settings) as client:
            dask = None if arguments.without_dask else judged(all_at_once(client, made), made, arguments.scale)
            db = Database(settings)
            ours = judged(admitted(client, db, made), made, arguments.scale)
            db.close()
        cost = passes.measure(make_settings(place / "passes", urls[1]))
    found = {
        "bench": "admission",
        "jobs": len(made),
        "lower_bound_s": round(lower_bound_s(made), 2),
        "greedy_s": round(makespan_s(greedy(made)), 2),
        "planned": judged(planned(made, settings.parameters.reserve_after_s), made, arguments.scale),
        "admitted": ours,
        "all_to_dask": dask,
        "pass": cost,
    }
    print(json.dumps(found), flush=True)
    return int(ours["of_greedy"] > MOST_OF_GREEDY or ours["inversions_share"] > MOST_INVERSIONS or ours["over_committed"] > 0)


if __name__ == "__main__":
    code = main()
    os._exit(code)  # threads of the client may wait for a scheduler that is gone
