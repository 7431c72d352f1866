"""Logins of the Copernicus Data Space: each opens a session, whose token is short-lived and may be renewed."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from satdaemon.simulator.archives.messages import Answer, as_json
from satdaemon.simulator.archives.tally import Tally


@dataclass(slots=True)
class _Session:
    user: str
    access: str
    access_until: float
    refresh: str
    refresh_until: float


class Sessions:
    """Who is logged in. A session ends when its refresh token does."""

    def __init__(self, users: Mapping[str, str], token_s: float, refresh_s: float, most: int, tally: Tally) -> None:
        self.users = dict(users)
        self.token_s, self.refresh_s, self.most = token_s, refresh_s, most
        self._tally = tally
        self._lock = threading.Lock()
        self._sessions: list[_Session] = []
        self.issued: list[str] = []
        """Every token that was given."""

    def answer(self, form: Mapping[str, str]) -> Answer:
        """The answer of the token endpoint to the password and refresh grants."""
        grant = form.get("grant_type")
        self._tally.add("refresh" if grant == "refresh_token" else "token")
        with self._lock:
            now = time.monotonic()
            self._sessions = [session for session in self._sessions if session.refresh_until > now]
            if grant == "password":
                return self._login(form, now)
            if grant == "refresh_token":
                return self._refresh(form.get("refresh_token", ""), now)
        return as_json({"error": "unsupported_grant_type", "error_description": "Unsupported grant_type"}, 400)

    def end(self, form: Mapping[str, str]) -> Answer:
        """The answer of the logout endpoint: the session of that refresh token is over."""
        self._tally.add("logout")
        token = form.get("refresh_token", "")
        with self._lock:
            found = [session for session in self._sessions if session.refresh == token]
            self._sessions = [session for session in self._sessions if session.refresh != token]
        return Answer(204) if found else as_json({"error": "invalid_grant", "error_description": "Token is not active"}, 400)

    def user_of(self, token: str | None) -> str | None:
        """Whose token it is; None where it is not good, or not any more."""
        now = time.monotonic()
        with self._lock:
            return next((s.user for s in self._sessions if s.access == token and s.access_until > now), None)

    def active(self) -> int:
        """Sessions that have not ended."""
        now = time.monotonic()
        with self._lock:
            return sum(session.refresh_until > now for session in self._sessions)

    def end_tokens(self, sessions_too: bool = False) -> None:
        """From now on no access token that was given is good, nor any refresh token where sessions end too."""
        with self._lock:
            for session in self._sessions:
                session.access_until = 0.0
            if sessions_too:
                self._sessions.clear()

    def _login(self, form: Mapping[str, str], now: float) -> Answer:
        user = form.get("username", "")
        if form.get("client_id") != "cdse-public":
            return as_json({"error": "invalid_client", "error_description": "Invalid client or Invalid client credentials"}, 401)
        if self.users.get(user) is None or self.users[user] != form.get("password"):
            return as_json({"error": "invalid_grant", "error_description": "Invalid user credentials"}, 401)
        if sum(session.user == user for session in self._sessions) >= self.most:
            self._tally.add("too many sessions")
            return as_json({"code": "DAT-ZIP-100", "message": "Max session number exceeded"}, 429)
        session = _Session(user, "", 0.0, "", 0.0)
        self._sessions.append(session)
        return self._renewed(session, now)

    def _refresh(self, token: str, now: float) -> Answer:
        session = next((session for session in self._sessions if session.refresh == token), None)
        if session is None:
            return as_json({"error": "invalid_grant", "error_description": "Token is not active"}, 400)
        return self._renewed(session, now)

    def _renewed(self, session: _Session, now: float) -> Answer:
        session.access, session.refresh = (f"eyJhbGciOiJSUzI1NiIs.{secrets.token_urlsafe(24)}" for _ in range(2))
        self.issued += [session.access, session.refresh]
        session.access_until = now + self.token_s
        session.refresh_until = session.refresh_until or now + self.refresh_s
        return as_json(
            {
                "access_token": session.access,
                "expires_in": self.token_s,
                "refresh_expires_in": max(session.refresh_until - now, 0.0),
                "refresh_token": session.refresh,
                "token_type": "Bearer",
                "not-before-policy": 0,
                "scope": "AUDIENCE_PUBLIC openid email profile ondemand_processing user-context",
            }
        )
