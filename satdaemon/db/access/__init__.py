"""Users of the web pages and the API: who they are, their logins and tokens, and what they did."""

from satdaemon.db.access import attempts, audit, sessions, tokens, users
from satdaemon.db.access.sessions import Login
from satdaemon.db.access.users import User

__all__ = ["Login", "User", "attempts", "audit", "sessions", "tokens", "users"]
