"""The pages over a frame with products, failures and actions, on both databases and a real server."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import httpx
import pytest
from databases import make_settings
from frames_made import FRAME, days
from postgres import Cluster
from web_parts import Web, act, csrf_of, failing_frame, served

from satdaemon.db import FailedJob, Frame, Ifg, JobEvent, Machine, PendingJob, daemon, latency
from satdaemon.db.access import audit
from satdaemon.db.failure_groups import failure_groups
from satdaemon.db.frame_list import Show, Sort, frame_page
from satdaemon.db.product_totals import product_totals
from satdaemon.db.throughput import throughput
from satdaemon.status import ProcStatus, Role, Stage
from satdaemon.web.log_tail import MOST, tail

__all__ = ["failing_frame"]
DAYS = days(6)


def text_of(answer: httpx.Response) -> str:
    """What a person reads, in one line."""
    assert answer.status_code == 200, answer.text
    return " ".join(re.sub(r"<[^>]*>", " ", answer.text).split())


def test_the_overview_tells_how_things_stand(web: Web) -> None:
    client = web.user(Role.VIEWER)
    text = text_of(client.get("/"))
    assert "Failed 3 by cause" in text and "Frames on 1 of 1" in text
    assert "Nothing is up" in text and "No date is late" in text
    assert "Power down" not in text, "a viewer sees no buttons"
    assert "Power down" in web.user(Role.OPERATOR).get("/").text
    assert "Running now" in text_of(client.get("/overview/live"))
    rates = {rate.stage: rate for rate in throughput(web.database)}
    assert rates[Stage.DOWNLOAD].total > 0 and rates[Stage.DOWNLOAD].finished[-1] == rates[Stage.DOWNLOAD].total
    assert rates[Stage.SLC].failed == 3


def test_frames_are_found_sorted_and_kept_in_an_address(web: Web) -> None:
    copy = web.database
    copy.insert([Frame(id=f"044D_F{n:03d}", track=44, orbit_direction="D", priority=n, notes="50%_done") for n in range(60)])
    client = web.user(Role.VIEWER)
    text = text_of(client.get("/frames"))
    assert "61 frames, page 1 of 2" in text
    page = client.get("/frames", params={"sort": "failed", "down": "true", "track": "", "direction": ""})
    assert re.findall(r'scope="row"><a href="/frames/(\w+)"', page.text)[0] == FRAME
    assert "1 frames" in text_of(client.get("/frames?q=TEST"))
    assert "60 frames" in text_of(client.get("/frames", params={"q": "50%_"})), "% and _ are letters here"
    assert "0 frames" in text_of(client.get("/frames", params={"q": "5_%"}))
    assert "60 frames" in text_of(client.get("/frames?direction=D&track=44"))
    assert client.get("/frames?sort=password").status_code == 422
    assert client.get("/frames?page=0").status_code == 422
    part = client.get("/frames?page=2", headers={"HX-Target": "frames", "HX-Request": "true"}).text
    assert "<html" not in part and "page 2 of 2" in part
    found = frame_page(web.database, sort=Sort.PRIORITY, descending=True, limit=3)
    assert [line.frame.id for line in found.lines] == ["044D_F059", "044D_F058", "044D_F057"]
    assert frame_page(web.database, show=Show.FAILING).total == 1
    assert frame_page(web.database, show=Show.OFF).total == 60


def test_a_frame_shows_what_it_is_owed_made_of_and_has_cost(web: Web) -> None:
    client = web.user(Role.VIEWER)
    page = client.get(f"/frames/{FRAME}")
    text = text_of(page)
    headings = ("What is owed", "Held up, failed or left out", "Dates and stages", "What it has cost", "History")
    assert [words for words in headings if words not in text] == []
    assert page.text.count('<rect class="s-done"') >= 6, "downloads are done"
    (made,) = product_totals(web.database, FRAME)
    assert (made.stage, made.products, made.on_disk) == (Stage.DOWNLOAD, 6, 6) and made.bytes > 0
    assert "newest download 6 " in text and f"/stac/collections/{FRAME}" in page.text
    assert client.get(f"/stac/collections/{FRAME}").status_code == 200
    # How long each date took comes later, by itself: it is much to read.
    assert f'hx-get="/frames/{FRAME}/dates" hx-trigger="load"' in page.text
    told = latency.of_frame(web.database, FRAME)
    assert len(told) >= 6 and any(str(one) for one in told.values())
    table = text_of(client.get(f"/frames/{FRAME}/dates", headers={"HX-Request": "true"}))
    assert [str(one) for one in told.values() if str(one) not in table] == []
    assert '<rect class="s-failed"' in page.text
    assert page.text.count("<circle") == len(DAYS)
    assert page.text.count("<polygon") == 6, "bursts"
    assert "<script>alert" not in page.text
    missing = client.get("/frames/132A_NONE")
    assert missing.status_code == 404 and "none of the name" in missing.text
    assert client.get("/frames/%3Cscript%3Ealert(1)%3C%2Fscript%3E").text.count("<script>alert") == 0


def test_a_date_and_a_pair_have_pages(web: Web) -> None:
    client = web.user(Role.VIEWER)
    text = text_of(client.get(f"/frames/{FRAME}/{DAYS[0]}"))
    assert "Product of download" in text and "fingerprint" in text and "finished" in text
    assert "Stages" in text_of(client.get(f"/frames/{FRAME}/{DAYS[0]}/{DAYS[1]}"))
    assert client.get(f"/frames/{FRAME}/1999-01-01").status_code == 404
    assert client.get(f"/frames/{FRAME}/{DAYS[1]}/{DAYS[0]}").status_code == 404
    assert client.get(f"/frames/{FRAME}/yesterday").status_code == 422


def test_failures_are_one_card_a_cause(web: Web) -> None:
    groups = failure_groups(web.database)
    assert sorted(group.count for group in groups) == [1, 2]
    client = web.user(Role.OPERATOR)
    page = client.get("/failures")
    text = text_of(page)
    assert "Retry all 2" in text and "no pixel is left" in text
    assert "<script>alert" not in page.text and "&lt;script&gt;" in page.text
    double = next(group for group in groups if group.count == 2)
    assert act(client, f"/do/failures/{double.key}/retry-one").status_code == 204
    assert len(web.database.query(FailedJob)) == 2
    assert act(client, f"/do/failures/{double.key}/retry-all").status_code == 204
    assert [group.count for group in failure_groups(web.database)] == [1]
    gone = act(client, f"/do/failures/{double.key}/retry-all")
    assert gone.status_code == 400 and "look again" in gone.text


def test_all_that_failed_for_a_cause_is_left_out_with_a_reason_but_no_master(web: Web) -> None:
    client, copy = web.user(Role.OPERATOR), web.database
    single, double = sorted(failure_groups(copy), key=lambda group: group.count)
    kinds = {job.job_id: job.kind for job in copy.query(FailedJob)}
    assert [kinds[number] for number in (*single.job_ids, *double.job_ids)] == ["master", "ifg", "ifg"]
    refused = act(client, f"/do/failures/{double.key}/exclude")
    assert refused.status_code == 400 and "expected reason, got nothing" in refused.text
    refused = act(client, f"/do/failures/{single.key}/exclude", reason="snow")
    assert refused.status_code == 400 and "choose another master" in refused.text
    assert not copy.query(Ifg, proc_status=int(ProcStatus.EXCLUDED))
    out = sorted(job.date1 for job in copy.query(FailedJob) if job.job_id in double.job_ids)
    asked = act(client, f"/do/failures/{double.key}/exclude", reason="snow")
    assert asked.status_code == 409 and "download" in asked.text and 'name="confirm"' in asked.text, "downloads are given up"
    assert not copy.query(Ifg, proc_status=int(ProcStatus.EXCLUDED))
    assert act(client, f"/do/failures/{double.key}/exclude", reason="snow", confirm="yes").status_code == 204
    rows = copy.query(Ifg, proc_status=int(ProcStatus.EXCLUDED))
    assert sorted(row.date for row in rows) == out and {row.reason for row in rows} == {"snow"}
    assert [group.count for group in failure_groups(copy)] == [1]
    assert "snow" in text_of(client.get("/history"))


def test_a_job_shows_its_events_and_output(web: Web, tmp_path: Path) -> None:
    client = web.user(Role.OPERATOR)
    job = web.database.query(FailedJob)[0]
    page = client.get(f"/jobs/{job.job_id}")
    text = text_of(page)
    assert "failed" in text and "Traceback" in text and "begun 100 % ended" in text
    assert "&lt;b&gt;badly" in page.text
    assert client.get("/jobs/987654").status_code == 404
    assert client.get(f"/jobs/{2**70}").status_code == 422
    secret = tmp_path / "secret.txt"
    secret.write_text("do not show")
    web.database.update(FailedJob, {"log_path": str(secret)}, job_id=job.job_id)
    assert "do not show" not in client.get(f"/jobs/{job.job_id}/log").text
    link = web.database.settings.parameters.log_path / "link.log"
    link.symlink_to(secret)
    web.database.update(FailedJob, {"log_path": str(link)}, job_id=job.job_id)
    assert "do not show" not in client.get(f"/jobs/{job.job_id}/log").text
    assert act(client, f"/do/job/{job.job_id}/retry").status_code == 204
    assert web.database.query(FailedJob, job_id=job.job_id) == []
    assert act(client, f"/do/job/{job.job_id}/cancel", reason="not today").status_code == 204
    (row,) = web.database.query(PendingJob, job_id=job.job_id)
    assert row.held and "not today" in str(row.reason)
    for words in ("jobs", f"jobs?frame={FRAME}", "jobs?place=held"):
        assert "not today" in text_of(client.get(f"/{words}"))


def test_the_end_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"first\n" + b"x" * 100 + b"\n" * MOST + b"\x1b[31mlast\xff\n")
    found = tail(log, tmp_path)
    assert not found.is_whole and "first" not in found.text and found.text.rstrip().endswith("[31mlast\N{REPLACEMENT CHARACTER}")
    assert "\x1b" not in found.text
    assert "cannot be read" in str(tail(tmp_path / "none.log", tmp_path).problem)


def test_every_action_is_confirmed_done_and_recorded(web: Web) -> None:
    client = web.user(Role.OPERATOR)
    dialog = client.get(f"/do/frame/{FRAME}/priority", headers={"HX-Request": "true"})
    assert "<html" not in dialog.text and "Frames with a higher number go first" in dialog.text
    assert "<html" in client.get(f"/do/frame/{FRAME}/priority").text, "it works without scripts"
    said = act(client, f"/do/frame/{FRAME}/priority", priority="7")
    assert said.status_code == 204 and "has priority 7" in said.headers["hx-trigger"]
    (frame,) = web.database.query(Frame)
    assert frame.priority == 7
    (entry, *_) = audit.listing(web.database)
    assert (entry.who, entry.action, entry.target, entry.outcome) == ("operator1", "frame priority", f"frame {FRAME}", "done")
    (event,) = [e for e in web.database.query(JobEvent, event="changed") if e.who == "operator1 (web)"]
    assert "priority 7" in str(event.message)
    assert "operator1 (web)" in text_of(client.get(f"/frames/{FRAME}"))
    assert "priority 7" in text_of(client.get("/history"))
    wrong = act(client, f"/do/frame/{FRAME}/priority", priority="high")
    assert wrong.status_code == 400 and "expected a number, got &#39;high&#39;" in wrong.text
    assert act(client, f"/do/frame/{FRAME}/explode").status_code == 404
    assert act(client, "/do/frame/132A_NONE/off").status_code == 400
    plain = client.post(f"/do/frame/{FRAME}/off", data={"csrf": csrf_of(client)})
    assert (plain.status_code, plain.headers["location"]) == (303, f"/frames/{FRAME}")
    assert not web.database.query(Frame)[0].processing


@pytest.mark.parametrize(
    ("name", "fields", "check"),
    [
        ("on", {}, lambda f: f.processing and f.do_ingest),
        ("off", {}, lambda f: not f.processing),
        ("til", {"stage": "satsar"}, lambda f: f.do_satsar and not f.do_coherence),
        ("updates", {"updates": "no"}, lambda f: not f.do_update),
        ("reprocess", {"again": "yes"}, lambda f: f.reprocess),
        ("range", {"start": "2023-01-05", "end": ""}, lambda f: (f.start_date, f.end_date) == (date(2023, 1, 5), None)),
        ("notes", {"notes": "<i>look</i>"}, lambda f: f.notes == "<i>look</i>"),
    ],
)
def test_switches_of_a_frame(web: Web, name: str, fields: dict[str, str], check: object) -> None:
    client = web.user(Role.OPERATOR)
    assert act(client, f"/do/frame/{FRAME}/{name}", **fields).status_code == 204
    assert callable(check) and check(web.database.query(Frame)[0])
    assert "<i>look" not in client.get(f"/frames/{FRAME}").text


def test_what_loses_work_shows_it_first(web: Web) -> None:
    client = web.user(Role.OPERATOR)
    before = web.database.query(Frame)[0].last_updated
    asked = act(client, f"/do/frame/{FRAME}/exclude", date=str(DAYS[1]), reason="snow")
    assert asked.status_code in (204, 409)
    if asked.status_code == 409:
        assert "Do it all the same" in asked.text and web.database.query(Frame)[0].last_updated == before
        assert act(client, f"/do/frame/{FRAME}/exclude", date=str(DAYS[1]), reason="snow", confirm="yes").status_code == 204
    assert "snow" in text_of(client.get(f"/frames/{FRAME}"))
    assert act(client, f"/do/frame/{FRAME}/include", date=str(DAYS[1]), confirm="yes").status_code == 204
    no_reason = act(client, f"/do/frame/{FRAME}/exclude", date=str(DAYS[1]))
    assert no_reason.status_code == 400 and "expected reason" in no_reason.text


def test_the_daemon_and_machines_obey(web: Web) -> None:
    operator, admin = web.user(Role.OPERATOR), web.user(Role.ADMIN)
    assert act(operator, "/do/daemon/pause").status_code == 204
    assert daemon.read(web.database).command == "pause"
    assert "paused by operator1 (web)" in text_of(operator.get("/"))
    assert act(operator, "/do/daemon/resume").status_code == 204
    assert act(operator, "/do/daemon/power-down", running="let them end").status_code == 403, "for admins"
    assert act(admin, "/do/daemon/power-down", running="let them end").status_code == 204
    assert daemon.read(web.database).command == "power_down"
    name = web.database.query(Machine)[0].name
    assert act(operator, f"/do/machine/{name}/drain", reason="new disk").status_code == 204
    assert "new disk" in text_of(operator.get("/machines"))
    assert act(operator, f"/do/machine/{name}/enable").status_code == 204
    assert act(operator, "/do/machine/none/enable").status_code == 400


def test_history_shows_logins_to_admins_alone(web: Web) -> None:
    assert "Logins, actions" in text_of(web.user(Role.ADMIN).get("/history"))
    assert "Logins, actions" not in text_of(web.user(Role.OPERATOR).get("/history"))


@pytest.mark.postgis
def test_a_database_that_is_away_is_said_and_comes_back(tmp_path: Path, postgres_cluster: Cluster) -> None:
    with postgres_cluster.database() as url, served(make_settings(tmp_path, url)) as web:
        name = url.partition("@/")[2].partition("?")[0]
        client = web.user(Role.VIEWER)
        assert client.get("/").status_code == 200
        postgres_cluster.sql(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        postgres_cluster.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        try:
            page = client.get("/frames")
            part = client.get("/overview/live", headers={"HX-Request": "true"})
            program = client.get("/api/overview")
        finally:
            postgres_cluster.sql(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
        assert (page.status_code, part.status_code, program.status_code) == (503, 503, 503)
        assert 'http-equiv="refresh"' in page.text and "tries again every 5 seconds" in page.text
        assert "<html" not in part.text and "database" in program.json()["detail"]
        assert page.headers["retry-after"] == "5"
        assert client.get("/frames").status_code == 200, "by itself"
