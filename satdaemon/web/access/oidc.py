"""Logging in through OpenID Connect: the authorization code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect Core 1.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from satdaemon.db.access import User, audit, users
from satdaemon.db.access.users import NAME
from satdaemon.errors import ConfigError
from satdaemon.status import Role
from satdaemon.web.access.guard import open_to_all
from satdaemon.web.access.login import begin, safe_next
from satdaemon.web.render import page
from satdaemon.web.state import State, state_of

router = APIRouter(prefix="/oidc", include_in_schema=False)
COOKIE = "satdaemon_oidc"
"""What this browser was sent away with; without, an answer is not for it."""
SECRET = "SATDAEMON_OIDC_SECRET"
LASTS_S = 600
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Signatures by keys that the issuer publishes; none by the client's secret, none at all."""
_TIMEOUT_S = 15.0
_MOST_BYTES = 1_000_000


class Refused(Exception):
    """The login cannot go on; the message is for the person."""


@router.get("/login")
@open_to_all
def login(request: Request, next: str = "/") -> Response:
    """Send the browser to the issuer."""
    state = state_of(request)
    try:
        issuer = _issuer(state)
    except Refused as refused:
        return _problem(request, state, str(refused))
    kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")} | {"next": safe_next(next)}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(kept["verifier"].encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code", "client_id": state.settings.web.oidc_client, "redirect_uri": _here(request),
        "scope": "openid email profile", "state": kept["state"], "nonce": kept["nonce"], "code_challenge": challenge,
        "code_challenge_method": "S256",
    }  # fmt: skip
    answer = RedirectResponse(f"{issuer['authorization_endpoint']}?{urlencode(query)}", 303)
    value = base64.urlsafe_b64encode(json.dumps(kept).encode()).decode()
    secure = state.settings.web.secure_cookies
    answer.set_cookie(COOKIE, value, max_age=LASTS_S, path="/oidc", httponly=True, samesite="lax", secure=secure)
    return answer


@router.get("/callback")
@open_to_all
def callback(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
    """The issuer sends the browser back: find out who it is, and log in."""
    site = state_of(request)
    try:
        kept = _kept(request)
        if not hmac.compare_digest(kept["state"].encode(), state.encode()):
            raise Refused("the answer is not to this browser's question: log in again")
        if error or not code:
            raise Refused(f"the issuer says: {error or 'no code'}")
        issuer = _issuer(site)
        claims = _claims(site, issuer, _token(request, site, issuer, code, kept["verifier"]), kept["nonce"])
        user = _user(site, claims)
    except Refused as refused:
        audit.record(site.database, "login", audit.REFUSED, address=site.address(request), detail=f"OpenID Connect: {refused}")
        return _problem(request, site, str(refused))
    answer = begin(request, site, user, kept["next"], "OpenID Connect")
    answer.delete_cookie(COOKIE, path="/oidc")
    return answer


def _issuer(state: State) -> Mapping[str, Any]:
    """What the issuer publishes of itself."""
    issuer = state.settings.web.oidc_issuer
    if issuer is None or state.settings.web.oidc_client is None:
        raise Refused("logging in this way is not set up: [WEB] oidc_issuer and oidc_client")
    if urlsplit(issuer).scheme != "https" and urlsplit(issuer).hostname not in ("127.0.0.1", "localhost"):
        raise ConfigError(f"[WEB] oidc_issuer: expected an https:// address, got {issuer}")
    found = _document("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise Refused(f"the issuer calls itself {found.get('issuer')!r}, expected {issuer!r}")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not isinstance(found.get(name), str):
            raise Refused(f"the issuer does not tell its {name}")
    return found


def _token(request: Request, state: State, issuer: Mapping[str, Any], code: str, verifier: str) -> str:
    data = {"grant_type": "authorization_code", "code": code, "redirect_uri": _here(request), "code_verifier": verifier}
    data["client_id"] = str(state.settings.web.oidc_client)
    if SECRET in os.environ:
        data["client_secret"] = os.environ[SECRET]
    token = _document("POST", issuer["token_endpoint"], data).get("id_token")
    if not isinstance(token, str):
        raise Refused("the issuer gave no token that says who you are")
    return token


def _claims(state: State, issuer: Mapping[str, Any], token: str, nonce: str) -> Mapping[str, Any]:
    """What the token says, once its signature, issuer, audience, times and nonce are right."""
    web = state.settings.web
    try:
        keys = KeySet.import_key_set(_document("GET", issuer["jwks_uri"]))  # type: ignore[arg-type]
        claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
        rules = jwt.JWTClaimsRegistry(
            leeway=60,
            iss={"essential": True, "value": str(web.oidc_issuer)},
            aud={"essential": True, "value": str(web.oidc_client)},
            sub={"essential": True},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        rules.validate(claims)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"the issuer's token is not right: {error}") from error
    return claims


def _user(state: State, claims: Mapping[str, Any]) -> User:
    """The user of the token: by the issuer's subject, else by the name that an admin made, else a new viewer where that is so."""
    web = state.settings.web
    subject = f"{web.oidc_issuer} {claims['sub']}"
    found = users.of_subject(state.database, subject)
    if found is None:
        name = claims.get(web.oidc_claim)
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            raise Refused(f"the issuer tells no {web.oidc_claim} that can be a user's name")
        if web.oidc_claim == "email" and claims.get("email_verified") is False:
            raise Refused("the issuer has not verified your address")
        known = users.find(state.database, name)
        if known is None:
            if not web.oidc_viewers:
                raise Refused(f"{name} is nobody here yet: ask an admin to make the user")
            found = users.create(state.database, name, Role.VIEWER, password=None, who="OpenID Connect", subject=subject)
        elif known[0].has_password:
            raise Refused(f"{name} logs in with a password here")
        else:
            found = users.tie_subject(state.database, name, subject)
    if found.disabled:
        raise Refused(f"{found.name} may not log in")
    return found


def _document(method: str, url: str, data: Mapping[str, str] | None = None) -> dict[str, Any]:
    try:
        answer = httpx.request(method, url, data=data, timeout=_TIMEOUT_S, headers={"Accept": "application/json"})
        answer.raise_for_status()
        found = answer.json() if len(answer.content) <= _MOST_BYTES else None
    except (httpx.HTTPError, ValueError) as error:
        raise Refused(f"the issuer does not answer as it should ({urlsplit(url).hostname}: {type(error).__name__})") from error
    if not isinstance(found, dict):
        raise Refused("the issuer answers what is no JSON object")
    return found


def _kept(request: Request) -> dict[str, str]:
    value = request.cookies.get(COOKIE, "")
    try:
        kept = json.loads(base64.urlsafe_b64decode(value))
        return {name: str(kept[name]) for name in ("state", "nonce", "verifier", "next")}
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("this browser did not ask, or too long ago: log in again") from error


def _here(request: Request) -> str:
    return str(request.url_for("callback"))


def _problem(request: Request, state: State, message: str) -> Response:
    values = {"title": "Not logged in", "message": message, "again_s": None}
    answer = page(request, "problem.html", values, 403)
    answer.delete_cookie(COOKIE, path="/oidc")
    return answer


