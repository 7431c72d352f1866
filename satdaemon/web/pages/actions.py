"""The dialog of an action, and the action done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from fastapi.responses import RedirectResponse, Response

from satdaemon.db.access import audit
from satdaemon.errors import NeedsConfirmation, SatDaemonError
from satdaemon.status import Role
from satdaemon.web.access.guard import needs, person, record, refused
from satdaemon.web.actions import ACTIONS, Action, Call
from satdaemon.web.render import page
from satdaemon.web.state import state_of

router = APIRouter(include_in_schema=False)
Word = Annotated[str, Path(max_length=60)]
_PAGE_OF = {"daemon": "/", "machine": "/machines", "failures": "/failures", "job": "/jobs/", "frame": "/frames/"}


async def fields(request: Request) -> dict[str, str]:
    """The fields of a form."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


@router.get("/do/daemon/{name}")
@needs(Role.OPERATOR)
def daemon_dialog(request: Request, name: Word) -> Response:
    """What it would do, and the form for it."""
    return _dialog(request, "daemon", "daemon", name)


@router.post("/do/daemon/{name}")
def daemon_action(request: Request, name: Word, given: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """Do it."""
    return _do(request, "daemon", "daemon", name, given)


@router.get("/do/{of}/{target}/{name}")
@needs(Role.OPERATOR)
def dialog(request: Request, of: Word, target: Word, name: Word) -> Response:
    """What it would do, and the form for it."""
    return _dialog(request, of, target, name)


@router.post("/do/{of}/{target}/{name}")
def action(
    request: Request, of: Word, target: Word, name: Word, given: Annotated[dict[str, str], Depends(fields)]
) -> Response:
    """Do it."""
    return _do(request, of, target, name, given)


def perform(request: Request, found: Action, target: str, given: Mapping[str, object], confirmed: bool) -> str:
    """Do an action in the person's name, and record it; what was done. Raises as the action does, 403 where it may not."""
    who = person(request)
    if not who.may(found.role):
        raise refused(request, f"{found.title} needs the role {found.role}, and {who.name} is {who.role}")
    seen = {key: str(value)[:200] for key, value in given.items() if key in {field.name for field in found.fields}}
    what, to = f"{found.of} {found.name}", target if found.of == "daemon" else f"{found.of} {target}"
    state = state_of(request)
    try:
        said = found.do(Call(state.controller(who.who), target, found.read(given), confirmed))
    except NeedsConfirmation:
        raise
    except SatDaemonError as error:
        record(request, what, audit.FAILED, target=to, detail=f"{_words(seen)}{error}")
        raise
    finally:
        state.overview.forget()
    record(request, what, audit.DONE, target=to, detail=f"{_words(seen)}{said}")
    return said


def known_action(of: str, name: str) -> Action:
    """The action; 404 where there is none such."""
    if (of, name) not in ACTIONS:
        raise HTTPException(404, f"there is no action {name!r} of a {of!r}")
    return ACTIONS[of, name]


def _dialog(request: Request, of: str, target: str, name: str) -> Response:
    return _form(request, known_action(of, name), target, {}, None)


def _do(request: Request, of: str, target: str, name: str, given: Mapping[str, str]) -> Response:
    found = known_action(of, name)
    try:
        said = perform(request, found, target, given, given.get("confirm") == "yes")
    except NeedsConfirmation as error:
        return _form(request, found, target, given, str(error), needs_confirmation=True, status=409)
    except SatDaemonError as error:
        return _form(request, found, target, given, str(error), status=400)
    if request.headers.get("hx-request") == "true":
        return Response(status_code=204, headers={"HX-Trigger": json.dumps({"done": said}, ensure_ascii=True)})
    there = _PAGE_OF[of]
    return RedirectResponse(there + (quote(target, safe="") if there.endswith("s/") else ""), 303)


def _form(
    request: Request,
    found: Action,
    target: str,
    given: Mapping[str, str],
    problem: str | None,
    *,
    needs_confirmation: bool = False,
    status: int = 200,
) -> Response:
    words = found.words.replace("{target}", target)
    address = f"/do/daemon/{found.name}" if found.of == "daemon" else f"/do/{found.of}/{quote(target, safe='')}/{found.name}"
    values = {
        "action": found, "target": target, "words": words, "given": given, "problem": problem,
        "address": address, "needs_confirmation": needs_confirmation, "here": "",
    }  # fmt: skip
    part = request.headers.get("hx-request") == "true"
    return page(request, "parts/dialog.html" if part else "dialog.html", values, status)


def _words(given: Mapping[str, str]) -> str:
    return "".join(f"{name} {value}; " for name, value in given.items() if value)
