"""Addresses: what arrives at a real HTTP server, and what is said of those that do not take it."""

from __future__ import annotations

import socket

import pytest
from receiver import Receiver

from satdaemon.config import NotifySettings
from satdaemon.errors import ConfigError
from satdaemon.notify import MOST_CHARACTERS, Target, targets


def target(url: str) -> Target:
    (found,) = targets(NotifySettings(urls=(url,)))
    return found


def test_a_message_arrives(receiver: Receiver) -> None:
    assert target(receiver.url).post("[job] unwrap failed", "expected 3, got 2 – ü", "error") is None
    (message,) = receiver.got
    assert (message["title"], message["message"]) == ("[job] unwrap failed", "expected 3, got 2 – ü")
    assert message["type"] == "failure"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_teams_workflow_gets_an_adaptive_card(teams: Receiver) -> None:
    body = "unwrap 132A_DEMO_SIM: expected <3> & got *2*\n(output: /a/b_c.log)"
    assert target(teams.url).post("[job] unwrap failed (500 times)", body, "error") is None
    (message,) = teams.got
    assert teams.paths[0].startswith("/workflows/643e69f83c8944/triggers/manual/paths/invoke?")
    assert message["type"] == "message"
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["$schema"]) == ("AdaptiveCard", "http://adaptivecards.io/schemas/adaptive-card.json")
    assert tuple(map(int, card["version"].split("."))) >= (1, 2)
    texts = {block["id"]: block["text"] for block in card["body"] if block["type"] == "TextBlock"}
    assert texts["title"] == "[job] unwrap failed (500 times)"
    assert texts["body"] == body.replace("\n", "\n\n")


def test_a_service_that_refuses_is_told_with_its_answer(receiver: Receiver) -> None:
    receiver.status = 503
    said = target(receiver.url).post("x", "y")
    assert said is not None and "503" in said


def test_a_service_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = target(f"json://127.0.0.1:{port}/x").post("x", "y")
    assert said is not None and "onnection" in said


def test_an_error_inside_a_plug_in_does_not_reach_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    import apprise

    def break_down(*_: object, **__: object) -> bool:
        raise RuntimeError("broke down at https://host/secret-token?sig=signature-of-it")

    monkeypatch.setattr(apprise.Apprise, "notify", break_down)
    said = target("json://me:password@host/secret-token?sig=signature-of-it").post("x", "y")
    assert said == "RuntimeError: broke down at https://host/****?sig=****"


def test_an_unknown_address_is_refused_without_telling_its_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        targets(NotifySettings(urls=("teemz://secret-token@host/x",)))
    assert "got teemz" in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("json://user:hidden@host:81/hidden-path?x=hidden", "1: json://user:****@host:81"),
        ("workflows://prod-1.azure.com:443/643e69f83c8944/hidden0123456789/", "1: workflow://prod-1.azure.com:443"),
        ("https://prod-1.azure.com:443/workflows/643e69f8/triggers/manual/paths/invoke?sv=1.0&sig=hidden0123456789",
         "1: workflow://prod-1.azure.com:443"),
        ("mailtos://me:hidden@gmail.com", "1: mailtos://me:****@gmail.com"),
    ],
)  # fmt: skip
def test_the_name_of_an_address_and_its_repr_hold_no_secret(url: str, name: str) -> None:
    found = target(url)
    assert found.name == name
    assert "hidden" not in repr(found)


def test_an_empty_body_and_a_very_long_one(receiver: Receiver) -> None:
    one = target(receiver.url)
    assert one.post("empty", "") is None
    assert one.post("long", "x" * (MOST_CHARACTERS + 77)) is None
    assert receiver.got[0]["message"] == "empty"
    assert "(77 characters more: " in receiver.got[1]["message"]
