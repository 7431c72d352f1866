"""Actions: which there are, and one done."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, Field

from satdaemon.status import Role
from satdaemon.web.actions import ACTIONS
from satdaemon.web.actions.action import Field as ActionField
from satdaemon.web.api.common import ANSWERS, Problem
from satdaemon.web.pages.actions import Word, known_action, perform

router = APIRouter(prefix="/api/actions", tags=["actions"], responses=ANSWERS)


class ActionOut(BaseModel):
    """Something that can be done."""

    of: str
    name: str
    title: str
    words: str
    role: Role
    danger: bool
    fields: tuple[ActionField, ...]


class Ask(BaseModel):
    """What an action is given."""

    values: dict[str, str | int | None] = Field(default_factory=dict, description="By the names of the action's fields.")
    confirm: bool = Field(False, description="Do it though work is lost by it: such an action else answers 409 and says what.")


class Told(BaseModel):
    """What was done."""

    done: str


@router.get("")
def actions() -> list[ActionOut]:
    """All actions."""
    names = ("of", "name", "title", "words", "role", "danger", "fields")
    return [ActionOut(**{name: getattr(action, name) for name in names}) for action in ACTIONS.values()]


@router.post("/{of}/{target}/{name}", responses={409: {"model": Problem, "description": "Work would be lost: confirm it."}})
def act(request: Request, of: Word, target: Word, name: Word, ask: Annotated[Ask, Body()]) -> Told:
    """Do one, in the name of the token's user. `target` of the daemon is `daemon`."""
    found = known_action(of, name)
    given: dict[str, Any] = dict(ask.values)
    return Told(done=perform(request, found, target, given, ask.confirm))
