"""The web application: its parts put together. READ FIRST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from satdaemon import __version__
from satdaemon.config import Settings
from satdaemon.web import api, failures, pages
from satdaemon.web.access import login, oidc
from satdaemon.web.access.guard import guard
from satdaemon.web.headers import Headers
from satdaemon.web.state import State

STATIC = Path(__file__).parent / "static"
MOST_BYTES = 1_000_000
"""No form or document that somebody sends is larger."""


def create_app(settings: Settings) -> FastAPI:
    """The application of one configuration. Its database may be away: pages then say so."""
    state = State.of(settings)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        state.database.close()

    app = FastAPI(
        title="SatDaemon",
        version=__version__,
        description="Frames, images, interferograms, bursts, machines and points of a SatDaemon system.",
        dependencies=[Depends(guard)],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=life,
    )
    app.state.satdaemon = state
    failures.add_to(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for router in (login.router, oidc.router, *pages.ROUTERS, *api.ROUTERS):
        app.include_router(router)
    app.add_middleware(Limit)
    app.add_middleware(Headers, secure=settings.web.secure_cookies)
    return app


class Limit:
    """ASGI middleware that refuses what is too large to be a form or a document of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MOST_BYTES:
                raise HTTPException(413, f"expected at most {MOST_BYTES} bytes, got more")
            return message

        await self.app(scope, counted if scope["type"] == "http" else receive, send)
