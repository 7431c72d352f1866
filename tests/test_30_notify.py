"""Messages to people, received by a real HTTP server."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import pytest
from receiver import Receiver

from satdaemon.config import NotifySettings
from satdaemon.errors import ConfigError
from satdaemon.notify import MOST_CHARACTERS, Notifier, Sending


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def notifier(receiver: Receiver, clock: Clock, **settings) -> Notifier:
    return Notifier(NotifySettings(urls=(receiver.url,), **settings), clock)


def test_a_message_arrives(receiver: Receiver, clock: Clock) -> None:
    sent = notifier(receiver, clock).send("job", "unwrap 132A_DEMO failed", "expected 3, got 2 – ü", "error")
    assert sent is Sending.SENT
    (message,) = receiver.got
    assert message["title"] == "[job] unwrap 132A_DEMO failed" and message["message"] == "expected 3, got 2 – ü"
    assert message["type"] == "failure"


def test_levels_below_the_least_are_not_sent(receiver: Receiver, clock: Clock) -> None:
    quiet = notifier(receiver, clock, level="warning")
    assert quiet.send("job", "done", "", "info") is Sending.BELOW_LEVEL
    assert quiet.send("job", "look", "at this", "warning") is Sending.SENT
    assert receiver.titles == ["[job] look"]
    assert notifier(receiver, clock, level="info").send("job", "done", "x", "info") is Sending.SENT


def test_a_level_that_is_none_is_sent_as_an_error(receiver: Receiver, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    assert notifier(receiver, clock, level="error").send("job", "odd", "x", "loud") is Sending.SENT
    assert "expected a level of info, warning, error, got 'loud'" in caplog.text


def test_equal_messages_become_one_and_are_counted(receiver: Receiver, clock: Clock) -> None:
    teller = notifier(receiver, clock, group_s=60)
    assert teller.send("job", "disk full", "on A", "error") is Sending.SENT
    for machine in "BCD":
        clock.now_s += 5
        assert teller.send("job", "disk full", f"on {machine}", "error") is Sending.GROUPED
    assert teller.send("job", "another", "x", "error") is Sending.SENT
    clock.now_s += 60
    assert teller.send("job", "disk full", "on E", "error") is Sending.SENT
    assert receiver.titles == ["[job] disk full", "[job] another", "[job] disk full (3 times more)", "[job] disk full"]
    assert receiver.got[2]["message"] == "The last of them:\non D"


def test_what_is_held_goes_out_at_the_end(receiver: Receiver, clock: Clock) -> None:
    teller = notifier(receiver, clock, group_s=3600)
    teller.send("job", "one", "x", "error")
    teller.send("job", "one", "y", "error")
    teller.flush()
    teller.flush()
    assert receiver.titles == ["[job] one", "[job] one (once more)"]


def test_no_grouping_where_it_is_switched_off(receiver: Receiver, clock: Clock) -> None:
    teller = notifier(receiver, clock, group_s=0)
    assert [teller.send("job", "same", "x", "error") for _ in range(3)] == [Sending.SENT] * 3


def test_no_more_than_so_many_a_minute_and_the_rest_is_counted(
    receiver: Receiver, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    teller = notifier(receiver, clock, per_minute=3)
    got = [teller.send("job", f"failed {i}", "x", "error") for i in range(8)]
    assert got == [Sending.SENT] * 3 + [Sending.LIMITED] * 5
    assert "message not sent (more than 3 a minute): [job] failed 7" in caplog.text
    clock.now_s += 61
    assert teller.send("job", "later", "y", "error") is Sending.SENT
    assert receiver.got[-1]["message"] == "y\n(5 other messages were left out: more than 3 a minute)"
    clock.now_s += 61
    assert teller.send("job", "much later", "z", "error") is Sending.SENT
    assert receiver.got[-1]["message"] == "z"


def test_flush_tells_what_was_left_out(receiver: Receiver, clock: Clock) -> None:
    teller = notifier(receiver, clock, per_minute=1)
    teller.send("job", "a", "x", "error")
    teller.send("job", "b", "x", "error")
    teller.flush()
    assert receiver.titles == ["[job] a", "[notify] Messages left out"]
    assert "(1 other messages were left out" in receiver.got[1]["message"]


def test_a_server_that_refuses_is_logged_and_said(receiver: Receiver, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    receiver.status = 500
    with caplog.at_level(logging.ERROR):
        assert notifier(receiver, clock).send("job", "x", "the body", "error") is Sending.FAILED
    assert "message could not be sent to every address of [NOTIFY] urls: [job] x: the body" in caplog.text


def test_a_server_that_is_not_there(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    teller = Notifier(NotifySettings(urls=(f"json://127.0.0.1:{port}/x",)), clock)
    assert teller.send("job", "x", "y", "error") is Sending.FAILED
    assert "could not be sent" in caplog.text


def test_an_error_inside_a_plug_in_does_not_reach_the_caller(
    receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    teller = notifier(receiver, clock)

    def break_down(**_: object) -> bool:
        raise RuntimeError("plug-in broke down")

    monkeypatch.setattr(teller._targets, "notify", break_down)
    assert teller.send("job", "x", "y", "error") is Sending.FAILED
    assert "plug-in broke down" in caplog.text


def test_one_dead_address_does_not_keep_the_message_from_the_other(receiver: Receiver, clock: Clock) -> None:
    teller = Notifier(NotifySettings(urls=("json://127.0.0.1:9/x", receiver.url)), clock)
    assert teller.send("job", "x", "y", "error") is Sending.FAILED
    assert receiver.titles == ["[job] x"]


def test_no_addresses_no_message(clock: Clock) -> None:
    assert Notifier(NotifySettings(), clock).send("job", "x", "y", "error") is Sending.NO_TARGET
    Notifier(NotifySettings(), clock).flush()


def test_an_unknown_address_is_refused_without_telling_its_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        Notifier(NotifySettings(urls=("teemz://secret-token@host/x",)))
    assert "got teemz" in str(caught.value) and "secret" not in str(caught.value)


def test_an_empty_body_and_a_very_long_one(receiver: Receiver, clock: Clock) -> None:
    teller = notifier(receiver, clock)
    teller.send("job", "empty", "", "error")
    teller.send("job", "long", "x" * (MOST_CHARACTERS + 77), "error")
    assert receiver.got[0]["message"] == "empty"
    assert receiver.got[1]["message"].endswith("\n... (77 characters more in the log)")


def test_many_threads_and_one_message(receiver: Receiver, clock: Clock) -> None:
    teller = notifier(receiver, clock)
    results: list[Sending] = []
    threads = [threading.Thread(target=lambda: results.append(teller.send("job", "same", "x", "error"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [Sending.GROUPED] * 11 + [Sending.SENT]
    assert len(receiver.got) == 1
