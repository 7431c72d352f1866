"""Bearer tokens of an archive. Shared by the threads of a process."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from satdaemon.archive.credentials import Credentials
from satdaemon.archive.http import Bearer
from satdaemon.archive.names import HOSTS
from satdaemon.archive.secrets import Secret, redacted
from satdaemon.errors import CredentialsError

EARTHDATA = "https://urs.earthdata.nasa.gov"


class Tokens(ABC):
    """Where the token of an archive comes from. `hosts`: who may see it (see `Bearer`)."""

    def __init__(self, credentials: Credentials, hosts: tuple[str, ...]) -> None:
        self.archive = credentials.archive
        self.source = credentials.source
        self.credentials, self._hosts = credentials, hosts
        self._lock = threading.Lock()
        self._refused = ""

    def bearer(self) -> Bearer:
        """The token to send now. Raises CredentialsError where the archive has refused the login, ArchiveError where it
        does not answer, Throttled where it asks to wait.
        """
        with self._lock:
            self._check()
            return self._bearer(self._current())

    def renewed(self, refused: Bearer) -> Bearer:
        """Another token after one was refused (401). Of many threads that ask with the same one, one logs in.

        Raises as `bearer`, and CredentialsError where there is no other.
        """
        with self._lock:
            self._check()
            return self._bearer(self._another(refused.token))

    def give_up(self, words: str) -> CredentialsError:
        """The error that says why the archive takes none of these credentials; from now on they are not tried again."""
        with self._lock:
            return self._give_up(words)

    def end(self) -> str:
        """Give back what the archive holds for these tokens, when no more are needed. Why it could not be, or nothing."""
        return ""

    def _give_up(self, words: str) -> CredentialsError:
        self._refused = redacted(f"{self.archive}: the credentials of {self.source} are refused: {words}")
        return CredentialsError(self._refused)

    def _check(self) -> None:
        if self._refused:
            raise CredentialsError(self._refused)

    def _bearer(self, token: Secret) -> Bearer:
        return Bearer(token, self._hosts)

    @abstractmethod
    def _current(self) -> Secret: ...

    @abstractmethod
    def _another(self, refused: Secret) -> Secret: ...


class FixedToken(Tokens):
    """A token that somebody has made by hand, as Earthdata's that live for 60 days."""

    def __init__(self, credentials: Credentials, hosts: tuple[str, ...] = HOSTS["asf"]) -> None:
        super().__init__(credentials, hosts)
        if credentials.token is None:
            raise CredentialsError(f"{credentials.archive}: expected a token from {credentials.source}, got a login")
        self._token = credentials.token

    def _current(self) -> Secret:
        return self._token

    def _another(self, refused: Secret) -> Secret:
        """The same: archives refuse for a moment what they take again. Who is refused twice in a row gives up."""
        return self._token

    def _give_up(self, words: str) -> CredentialsError:
        return super()._give_up(f"{words}; a token lives for 60 days: make a new one at {EARTHDATA} (Generate Token)")
