"""Runs one program so that nothing of it outlives its job.

The guard is a process of one thread between the worker and the program. It leads a session of its own and is the
subreaper of all that the program starts, so a daemonised grandchild comes back to it. It ends everything below it
when the control connection closes (the worker died or gave up), when memory or time run out, and when the program
itself has ended. Standard library only: it starts in some hundredths of a second.

    python -m satdaemon.runner.guard FD      the order comes over the socket FD, the answers go back over it
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from satdaemon.runner.cgroup import JobGroup, job_group
from satdaemon.runner.order import Ended, Order, read_line
from satdaemon.runner.process_tree import descendants, memory_bytes, send, traffic
from satdaemon.runner.wake import wake_pipe

GIB = 1024**3
_GB = 1e9
_MEASURE_S = 0.25
_BURY_S = 10.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Guard:
    """One guarded run; `run` returns when nothing of the program is left."""

    def __init__(self, control: socket.socket, order: Order, body: Callable[[Order], None]) -> None:
        self.control = control
        self.order = order
        self.body = body
        self.pid = 0
        self.status: int | None = None
        self.killed_for: str | None = None
        self.kill_at = 0.0
        self.cpu_s = 0.0
        self.peak_bytes = 0
        self.read_bytes = 0
        self.written_bytes = 0
        self.kernel_kills = _kernel_kills()
        self.group: JobGroup | None = None

    def run(self) -> None:
        """Start the program, watch it to its end, end what it left, tell the worker."""
        self._become_subreaper()
        wake, wake_end = wake_pipe()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._end("stopped"))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        started = time.monotonic()
        self.group = job_group(self.order.cgroup, self.order.memory_gb, self.order.cores)
        self.pid = self._fork((wake, wake_end))
        self._tell(json.dumps({"started": {"pid": self.pid, "guard": os.getpid()}}).encode() + b"\n")
        self._watch(wake, started)
        left = self._bury()
        self._ask_kernel()
        assert self.status is not None
        code = os.waitstatus_to_exitcode(self.status)
        ended = Ended(
            return_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            killed_for=self.killed_for,
            wall_s=time.monotonic() - started,
            cpu_s=self.cpu_s,
            peak_memory_gb=self.peak_bytes / _GB,
            read_bytes=self.read_bytes,
            written_bytes=self.written_bytes,
            left_running=left,
            kernel_kills=max(_kernel_kills() - self.kernel_kills, 0),
        )
        self._tell(ended.encode())

    @staticmethod
    def _become_subreaper() -> None:
        if os.getpgrp() != os.getpid():
            os.setsid()
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")

    def _fork(self, close: tuple[int, ...]) -> int:
        pid = os.fork()
        if pid:
            return pid
        code = 125
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            for fd in (*close, self.control.fileno()):
                os.close(fd)
            _prepare(self.order, self.group)
            self.body(self.order)
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:  # noqa: BLE001  (the forked process must never run the guard's own code)
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _watch(self, wake: int, started: float) -> None:
        watched = [self.control.fileno(), wake]
        measured = 0.0
        while self.status is None:
            ready, _, _ = select.select(watched, [], [], _MEASURE_S)
            if wake in ready:
                os.read(wake, 4096)
            if self.control.fileno() in ready and not self._listen():
                watched.remove(self.control.fileno())
            self._reap()
            now = time.monotonic()
            if now - measured >= _MEASURE_S:
                measured = now
                self._measure()
            if now - started > self.order.time_limit_s:
                self._end("time")
            if self.killed_for and now >= self.kill_at:
                send(descendants(os.getpid()), signal.SIGKILL)

    def _listen(self) -> bool:
        """Take what the worker says: any word, or silence for good, ends the program."""
        try:
            word = self.control.recv(4096)
        except OSError:
            word = b""
        self._end("stopped")
        return bool(word)

    def _end(self, reason: str) -> None:
        if self.killed_for is not None:
            return
        self.killed_for = reason
        self.kill_at = time.monotonic() + (0.0 if reason == "memory" else self.order.grace_s)
        send(descendants(os.getpid()), signal.SIGKILL if reason == "memory" else signal.SIGTERM)

    def _measure(self) -> None:
        pids = descendants(os.getpid())
        if self.status is None and pids:
            now_bytes = memory_bytes(pids)
            self.peak_bytes = max(self.peak_bytes, now_bytes)
            if now_bytes > self.order.memory_gb * _GB:
                self._end("memory")

    def _reap(self) -> None:
        """Collect what has ended below the guard; each counts with what it cost."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            passed = traffic(found.si_pid)
            _, status, used = os.wait4(found.si_pid, 0)
            self.cpu_s += used.ru_utime + used.ru_stime
            self.peak_bytes = max(self.peak_bytes, used.ru_maxrss * 1024)
            self.read_bytes += passed.read
            self.written_bytes += passed.written
            if found.si_pid == self.pid:
                self.status = status

    def _bury(self) -> int:
        """End what the program left running; the number of those processes."""
        left = {pid for pid in descendants(os.getpid()) if not _is_zombie(pid)}
        deadline = time.monotonic() + _BURY_S
        while time.monotonic() < deadline:
            alive = descendants(os.getpid())
            if not alive:
                break
            send(alive, signal.SIGKILL)
            self._reap()
            time.sleep(0.01)
        return len(left)

    def _ask_kernel(self) -> None:
        """A job that the kernel ended at its limit is one that needed more memory; its group goes with it."""
        if self.group is None:
            return
        if self.group.ooms() and self.status != 0 and self.killed_for is None:
            self.killed_for = "memory"
            self.peak_bytes = max(self.peak_bytes, self.group.memory_bytes)
        deadline = time.monotonic() + _BURY_S
        while not self.group.remove() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _tell(self, line: bytes) -> None:
        try:
            self.control.sendall(line)
        except OSError:
            self._end("stopped")  # nobody listens any more


def _kernel_kills() -> int:
    """Processes of this machine that the kernel has killed so far for want of memory; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def _prepare(order: Order, group: JobGroup | None) -> None:
    """In the new process: its own session, output to the log, environment, limits; it dies with its guard."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    log = os.open(order.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(null)
    if group is not None:
        group.enter()
    os.chdir(order.cwd)
    os.environ.clear()
    os.environ.update(order.env)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The guard measures four times a second; a single allocation far above the limit fails at once instead.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    ceiling = int(2 * order.memory_gb * _GB) + 4 * GIB
    resource.setrlimit(resource.RLIMIT_DATA, (ceiling if hard == resource.RLIM_INFINITY else min(ceiling, hard), hard))
    try:
        Path("/proc/self/oom_score_adj").write_text("500")
    except OSError as error:
        print(f"guard: oom_score_adj stays as it is: {error}", file=sys.stderr)


def execute(order: Order) -> None:
    """Body of a guarded program that is not ours: become it."""
    try:
        os.execvpe(order.argv[0], list(order.argv), dict(order.env))
    except OSError as error:
        print(f"guard: cannot run {order.argv[0]!r}: {error}", file=sys.stderr, flush=True)
        raise SystemExit(127 if isinstance(error, FileNotFoundError) else 126) from error


def main() -> None:
    """Guard one program; the order comes over the socket whose number is the only argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    Guard(control, Order.decode(read_line(control)), execute).run()


if __name__ == "__main__":
    main()
