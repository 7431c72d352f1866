"""numba's decorator with a type that mypy keeps, and how kernels get their threads.

Parallel regions never run at import or in a process that forks afterwards: numba's threads do not survive a fork.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(*, parallel: bool = False, fastmath: bool | set[str] = False) -> Callable[[F], F]:
    """Compile to machine code on the first call, kept on disk for later processes.

    `fastmath=True` is for kernels that never see NaN or infinity; a set of LLVM's flags keeps what it leaves out.
    """

    def wrap(function: F) -> F:
        return cast(F, numba.njit(parallel=parallel, fastmath=fastmath, cache=True, nogil=True)(function))

    return wrap


def use_threads(cores: int) -> None:
    """Let parallel kernels of this process use `cores` threads, as far as the process started with that many."""
    most: int = vars(numba.config)["NUMBA_NUM_THREADS"]
    numba.set_num_threads(max(1, min(cores, most)))
