"""The outbox and its sender, on both databases, with real HTTP servers at the other end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from engine_parts import until
from receiver import Receiver

from satdaemon.config import NotifySettings
from satdaemon.db import Database, Message, MessageTarget, messages
from satdaemon.db.locks import MESSAGES, alone
from satdaemon.db.messages import News
from satdaemon.db.messages.causes import normalised
from satdaemon.messages import send

TIMES = ("first_utc", "last_utc", "ready_utc", "sent_utc", "not_before_utc", "minute_utc")


def speaking(db: Database, *urls: str, **keys: object) -> Database:
    """The same database, whose configuration names these addresses."""
    db.settings = db.settings.model_copy(update={"notify": NotifySettings.model_validate({"urls": urls, **keys})})
    return db


def tell(db: Database, title: str = "unwrap failed", body: str = "A", **news: object) -> None:
    with db.session_scope() as session:
        messages.add(session, News(**{"kind": "job", "cause": title, "title": title, "body": body, **news}))  # type: ignore[arg-type]


def later(db: Database, seconds: float) -> None:
    """Let time pass: what was written is so much older."""
    with db.session_scope() as session:
        for row in [*session.query(Message), *session.query(MessageTarget)]:
            for name in TIMES:
                if getattr(row, name, None) is not None:
                    setattr(row, name, getattr(row, name) - timedelta(seconds=seconds))


def states(db: Database) -> list[str]:
    return [row.state for row in messages.listing(db, every=True)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("expected 3 bursts, got 2", "expected 27 bursts, got 0"),
        ("/data/T132/S1A_IW_SLC__1SDV_20230101T061400.zip: not a zip", "/other/S1B_IW_SLC__1SDV_20230113T061400.zip: not a zip"),
        ("132A_DEMO 2023-01-01: ESD sd 0.0041", "132A_TEST 2023-01-13: ESD sd 1e-3"),
        ("sha256 0123abcd4567ef89 differs\nand more", "sha256 fedcba9876543210 differs"),
    ],
)
def test_equal_failures_have_one_cause(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_other_words_are_another_cause() -> None:
    assert normalised("the DEM ends at 52.1") != normalised("the orbit ends at 52.1")


def test_a_message_stands_with_its_transaction(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.session_scope() as session:
        messages.add(session, News("job", "c", "title", "body"))
        _ = 1 / 0
    assert messages.listing(database) == []


def test_500_equal_failures_are_one_message_with_a_count_and_examples(database: Database, receiver: Receiver) -> None:
    speaking(database, receiver.url, group_s=60)
    for part in range(5):
        with database.session_scope() as session:
            for number in range(100 * part, 100 * part + 100):
                frame = f"132A_F{number}"
                messages.add(session, News("job", "unwrap failed", "unwrap failed", f"unwrap {frame}: no", frame_id=frame))
    send(database)
    assert receiver.got == []
    later(database, 61)
    send(database)
    send(database)
    (message,) = receiver.got
    assert message["title"] == "[job] unwrap failed (500 times)"
    assert message["message"].startswith("500 times, ") and message["message"].count("unwrap 132A_F") == 3
    (row,) = messages.listing(database)
    assert (row.state, row.count, row.frame_id, row.tries) == ("sent", 500, None, 0)
    assert row.sent_utc is not None


def test_a_cause_that_goes_on_is_told_again_later_with_its_count(database: Database, receiver: Receiver) -> None:
    speaking(database, receiver.url, group_s=60, repeat_s=3600)
    tell(database)
    later(database, 61)
    send(database)
    for _ in range(7):
        tell(database)
        later(database, 300)
        send(database)
    assert receiver.titles == ["[job] unwrap failed"]
    later(database, 3600)
    send(database)
    assert receiver.titles == ["[job] unwrap failed", "[job] unwrap failed (7 times)"]


def test_what_is_urgent_goes_at_once_and_the_end_waits_for_nothing(database: Database, receiver: Receiver) -> None:
    speaking(database, receiver.url)
    tell(database, "daemon up", at_once=True)
    tell(database)
    send(database)
    assert receiver.titles == ["[job] daemon up"]
    send(database, everything=True)
    assert receiver.titles == ["[job] daemon up", "[job] unwrap failed"]


def test_more_than_a_minute_holds_become_one_that_lists_them(database: Database, receiver: Receiver) -> None:
    speaking(database, receiver.url, group_s=0, per_minute=4)
    for number in range(10):
        tell(database, f"failed {number}", level="error" if number == 9 else "warning")
        tell(database, f"failed {number}", level="error" if number == 9 else "warning")
    send(database)
    assert [title.removeprefix("[job] ") for title in receiver.titles] == [
        "failed 9 (2 times)", "failed 0 (2 times)", "failed 1 (2 times)", "[digest] 7 other messages",
    ]  # fmt: skip
    assert receiver.got[3]["message"].splitlines()[1:] == [f"failed {n} (2 times)" for n in range(2, 9)]
    tell(database, "later")
    send(database)
    assert len(receiver.got) == 4
    later(database, 61)
    send(database)
    assert receiver.titles[4:] == ["[job] later"]
    assert sorted(states(database)) == ["sent"] * 5 + ["told"] * 7
    assert all(row.sent_utc is not None for row in messages.listing(database, every=True))


def test_the_limit_of_a_minute_holds_over_all_processes(database: Database, receiver: Receiver) -> None:
    speaking(database, receiver.url, group_s=0, per_minute=3)
    others = [Database(database.settings) for _ in range(4)]

    def work(db: Database, name: int) -> None:
        for number in range(5):
            tell(db, f"{name} {number}")
            send(db)

    threads = [threading.Thread(target=work, args=(db, name)) for name, db in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for db in others:
        db.close()
    assert len(receiver.got) == 3
    later(database, 61)
    send(database)
    assert len(receiver.got) <= 6
    assert set(states(database)) == {"sent", "told"}
    assert sum(row.kind != "digest" for row in messages.listing(database, every=True)) == 20


def test_below_the_level_and_without_addresses_messages_are_kept_unsent(database: Database, receiver: Receiver) -> None:
    tell(speaking(database, receiver.url, group_s=0, level="error"), "quiet", level="info")
    send(database)
    tell(speaking(database, group_s=0), "nobody")
    send(database)
    send(speaking(database, receiver.url, group_s=0))
    assert receiver.got == []
    assert [(row.state, row.error) for row in messages.listing(database)] == [
        ("kept", "below [NOTIFY] level"), ("kept", "[NOTIFY] urls is empty"),
    ]  # fmt: skip


def test_an_address_that_is_down_is_tried_again_with_growing_delay(database: Database, receiver: Receiver) -> None:
    speaking(database, receiver.url, group_s=0)
    receiver.status = 500
    tell(database, "one")
    tell(database, "two")
    done = send(database)
    assert done is not None and "500" in str(done.failed)
    assert len(receiver.got) == 1, "an address that fails is left alone for the rest of the turn"
    pauses = []
    for _ in range(9):
        (target,) = messages.targets(database, [_id(database)]).values()
        assert target.not_before_utc is not None
        before = len(receiver.got)
        send(database)
        assert len(receiver.got) == before, "in its pause"
        later(database, 3601)
        send(database)
        assert len(receiver.got) == before + 1
        (target,) = messages.targets(database, [_id(database)]).values()
        assert target.not_before_utc is not None and target.minute_utc is not None
        pauses.append(round((target.not_before_utc - target.minute_utc).total_seconds()))
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert set(receiver.titles) == {"[job] one", "[job] two"}, "one that fails lets the other go first"
    receiver.status = 200
    later(database, 3601)
    send(database)
    assert states(database) == ["sent", "sent"]
    (target,) = messages.targets(database, [_id(database)]).values()
    assert (target.failures, target.error, target.not_before_utc) == (0, None, None)


def test_one_dead_address_keeps_nothing_from_the_other(database: Database, receiver: Receiver) -> None:
    dead = Receiver()
    dead.close()
    speaking(database, dead.url, receiver.url, group_s=0, give_up_h=2)
    tell(database, "one")
    tell(database, "two")
    send(database)
    send(database)
    assert sorted(receiver.titles) == ["[job] one", "[job] two"]
    assert states(database) == ["ready", "ready"]
    later(database, 7201)
    send(database)
    assert len(receiver.got) == 2
    assert states(database) == ["given_up", "given_up"]
    assert all(row.error and "Connection" in row.error for row in messages.listing(database) if row.tries)
    later(database, 91 * 86400)
    tell(database, "three")
    assert messages.prune(database) == 2
    assert states(database) == ["open"]


def test_an_address_that_was_taken_out_holds_nothing_up(database: Database, receiver: Receiver) -> None:
    dead = Receiver()
    dead.close()
    tell(speaking(database, dead.url, receiver.url, group_s=0))
    send(database)
    send(speaking(database, receiver.url, group_s=0))
    assert states(database) == ["sent"]
    assert len(receiver.got) == 1


def test_one_sender_at_a_time(database: Database, receiver: Receiver) -> None:
    tell(speaking(database, receiver.url, group_s=0))
    other = Database(database.settings)
    with alone(other, MESSAGES) as mine:
        assert mine
        assert send(database) is None
    other.close()
    assert receiver.got == []
    send(database)
    assert len(receiver.got) == 1


SENDER = """
import json, sys
from databases import make_settings
from pathlib import Path
from satdaemon.config import NotifySettings
from satdaemon.db import Database
from satdaemon.messages import send
url, root, keys = sys.argv[1:]
settings = make_settings(Path(root), url).model_copy(update={"notify": NotifySettings.model_validate(json.loads(keys))})
send(Database(settings))
"""


@pytest.fixture
def sender(database: Database, tmp_path: Path) -> Iterator[object]:
    """Starts a sender in a process of its own."""
    begun: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        parameters = database.settings.parameters
        keys = json.dumps(database.settings.notify.model_dump(mode="json"))
        argv = [sys.executable, "-c", SENDER, parameters.database, str(tmp_path), keys]
        begun.append(subprocess.Popen(argv, cwd=Path(__file__).parent))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait(10)


@pytest.mark.faults
def test_killed_between_sending_and_recording_it_sends_one_message_twice_and_loses_none(
    database: Database, receiver: Receiver, sender: object
) -> None:
    speaking(database, receiver.url, group_s=0)
    for number in range(4):
        tell(database, f"message {number}")
    hold, second = threading.Event(), threading.Event()

    def before_answer() -> None:
        if len(receiver.got) == 2:
            second.set()
            hold.wait(200)

    receiver.before_answer = before_answer
    process = sender()  # type: ignore[operator]
    assert second.wait(200), "the second message did not arrive"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    hold.set()
    until(lambda: send(database) is not None, what="the lock of the killed sender")
    send(database)
    assert states(database) == ["sent"] * 4
    assert sorted(receiver.titles) == [f"[job] message {n}" for n in (0, 1, 1, 2, 3)]


def _id(db: Database) -> str:
    from satdaemon.notify import targets

    return targets(db.settings.notify)[0].id
