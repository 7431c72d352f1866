"""Every error that SatDaemon raises on purpose. Each class knows what the job engine does with it.

SatDaemonError
 ├─ ConfigError          a setting is wrong: the operator changes it             FAIL
 │   └─ CredentialsError  an archive's login is missing, or refused by it         WAIT
 ├─ RequestError         a caller asked for something that cannot be done        FAIL
 │   └─ NeedsConfirmation  it can, but work is lost by it: ask again with confirm  FAIL
 ├─ DataError            an input is unusable; the same input fails again         FAIL
 │   └─ CorruptProduct   a file is not what its name, size or checksum says       FAIL
 ├─ ProcessingError      the numbers do not allow a result (e.g. ESD incoherent)  FAIL
 │   └─ ProgramFailed    a program crashed, or ended without a word of why        FAIL
 ├─ NotUsable            a rule leaves this date or pair out, with the reason     EXCLUDE
 ├─ NotReady             an input does not exist yet (an orbit, a disk): later    WAIT
 │   └─ Throttled        an archive asks to be left alone for a while             WAIT
 ├─ DiskFull             no space, or no quota, left to write to: later           WAIT
 ├─ TransientError       may pass by itself                                       RETRY
 │   ├─ ArchiveError     an archive did not answer as it should                   RETRY
 │   │   ├─ NotInArchive  an archive has no such product (any more)               RETRY
 │   │   └─ InPreparation  an archive is still making what was asked for          RETRY
 │   ├─ DatabaseUnavailable  the database does not answer, is locked or full      RETRY
 │   ├─ MachineLost      something on its machine ended a job                     RETRY
 │   │   └─ WorkerLost   the worker, or the whole machine, went away              RETRY
 │   ├─ OutOfMemory      the job needed more memory than it was given             RETRY
 │   └─ TimeLimit        the job ran longer than its limit                        RETRY
 ├─ LeaseLost            somebody else holds the job now: discard the output      DISCARD
 └─ Cancelled            the operator stopped the job                             DISCARD
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Disposition(StrEnum):
    """What the engine does with a job that ended with an error."""

    FAIL = "fail"
    RETRY = "retry"
    WAIT = "wait"
    EXCLUDE = "exclude"
    DISCARD = "discard"


class SatDaemonError(Exception):
    """Base of all errors raised on purpose. Messages say what was expected, what was found, what to do."""

    disposition: ClassVar[Disposition] = Disposition.FAIL
    blames_machine: ClassVar[bool] = False
    """It may be the machine's fault: where only one machine has such failures, that one is sick."""


class ConfigError(SatDaemonError):
    """A setting in satdaemon.cfg is missing, unknown or out of bounds."""


class CredentialsError(ConfigError):
    """An archive's login is missing, unreadable, or refused; the message says which, and where it came from. Costs no try."""

    disposition = Disposition.WAIT
    retry_after_s: ClassVar[float] = 900.0
    """Accounts are locked where a wrong password is tried too often."""


class RequestError(SatDaemonError):
    """What was asked for cannot be done; the message says what can."""


class NeedsConfirmation(RequestError):
    """What was asked for makes work again or loses it; `effects` lists exactly which. Ask again with confirm=True."""

    def __init__(self, message: str, effects: object = None) -> None:
        super().__init__(message)
        self.effects = effects


class DataError(SatDaemonError):
    """An input cannot be used, and trying again with the same input would fail again."""


class CorruptProduct(DataError):
    """A product file is not what its name, size, checksum or manifest says."""


class ProcessingError(SatDaemonError):
    """The input is readable but does not allow a result."""


class ProgramFailed(ProcessingError):
    """A program ended by a signal or a return code and did not say why."""

    blames_machine = True


class NotUsable(SatDaemonError):
    """A rule leaves this date or pair out; the message is the reason shown to the operator."""

    disposition = Disposition.EXCLUDE


class NotReady(SatDaemonError):
    """Something that the job needs does not exist yet. Costs no try."""

    disposition = Disposition.WAIT

    def __init__(self, message: str, *, retry_after_s: float = 3600.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Throttled(NotReady):
    """An archive asks to be left alone for a while: the job is given back until then, at no try."""


class DiskFull(SatDaemonError):
    """Nothing more can be written where the job writes. Costs no try; the wait grows with every attempt."""

    disposition = Disposition.WAIT


class TransientError(SatDaemonError):
    """An error that may pass by itself."""

    disposition = Disposition.RETRY


class ArchiveError(TransientError):
    """An archive did not answer, or not as it should. `retry_after_s`: when it wants to be asked again, where it said so."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotInArchive(ArchiveError):
    """An archive has no such product, or no longer."""


class InPreparation(ArchiveError):
    """An archive is still making what was asked for: ask again in a while."""


class DatabaseUnavailable(TransientError):
    """The database does not answer, is locked, or cannot write; what was under way there is undone."""


class MachineLost(TransientError):
    """Something on the machine ended a job, or took its product: a kill from outside, a guard that died, a disk."""

    blames_machine = True


class WorkerLost(MachineLost):
    """The worker that held a job, or its whole machine, went away."""

    blames_machine = False


class OutOfMemory(TransientError):
    """The job was stopped because it used more memory than it was given."""


class TimeLimit(TransientError):
    """The job was stopped because it ran longer than its time limit."""

    blames_machine = True


class LeaseLost(SatDaemonError):
    """Another attempt holds the job: stop, and discard the output."""

    disposition = Disposition.DISCARD


class Cancelled(SatDaemonError):
    """The operator stopped the job."""

    disposition = Disposition.DISCARD


def may_blame_machine(error_class: str) -> bool:
    """True where a failure of this class may be its machine's fault. What is not of this module (OSError, a bug) may be."""
    known = globals().get(error_class)
    return not (isinstance(known, type) and issubclass(known, SatDaemonError)) or known.blames_machine
