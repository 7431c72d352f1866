"""satdaemon.cfg: what is read, and every message about what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from satdaemon.config import Settings, default_path, describe, example, load
from satdaemon.errors import ConfigError
from satdaemon.status import Stage

ROOT = Path(__file__).resolve().parents[1]


def written(folder: Path, text: str) -> Path:
    path = folder / "some.cfg"
    path.write_text(text)
    return path


def refused(folder: Path, text: str, **more) -> str:
    """The message for a configuration of this text; it names the file."""
    path = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(path, **more)
    assert str(path) in str(caught.value)
    return str(caught.value).replace(f"{path}: ", "")


# what is read


def test_the_file_at_the_root_is_the_example() -> None:
    assert (ROOT / "satdaemon.cfg").read_text() == example(), "regenerate satdaemon.cfg: satdaemon config example"


def test_the_page_describes_the_code() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == describe(), "regenerate docs/configuration.md"


def test_every_section_and_key_is_described_once() -> None:
    page, text = describe(), example()
    for name, field in Settings.model_fields.items():
        if name == "source":
            continue
        model = type(getattr(Settings(), name))
        assert f"## [{name.upper()}]" in page and f"[{name.upper()}]" in text
        assert field.default_factory is model and model.__doc__
        for key, one in model.model_fields.items():
            assert one.description and one.description.endswith("."), f"[{name.upper()}] {key} has no description"
            assert one.description in page and f"# {one.description}\n{key} =" in text
            assert "|" not in one.description, "would break the table"


def test_the_example_is_read_as_the_defaults(tmp_path: Path) -> None:
    got = load(written(tmp_path, example()))
    empty = load(written(tmp_path, ""))
    assert got == empty and got.source == tmp_path / "some.cfg"
    assert got.stage(Stage.UNWRAP) is got.unwrap
    assert [m.name for m in got.machines] == ["local1", "local2"] and got.machines[1].memory_gb == 4


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "dem.tif").touch()
    got = load(
        written(
            tmp_path,
            "[PARAMETERS]\ndata_path = d\nlog_path = /var/x\ndem = dem.tif\nsoftware_path = bin, /opt/y\n"
            "database = sqlite:///a/b.sqlite\npoints_database = sqlite:////abs/c.sqlite\n",
        )
    ).parameters
    assert (got.data_path, got.log_path, got.dem) == (tmp_path / "d", Path("/var/x"), tmp_path / "dem.tif")
    assert got.software_path == (str(tmp_path / "bin"), "/opt/y")
    assert (got.database, got.points_database) == (f"sqlite:///{tmp_path}/a/b.sqlite", "sqlite:////abs/c.sqlite")


def test_home_and_memory_and_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    text = "[PARAMETERS]\ndata_path = ~/d\ndatabase = sqlite:///:memory:\npoints_database = postgresql+psycopg2://u@h/n\n"
    got = load(written(tmp_path, text)).parameters
    assert got.data_path == Path("/home/somebody/d") and got.database == "sqlite:///:memory:"
    assert got.points_database == "postgresql+psycopg2://u@h/n"


def test_environment_variables(tmp_path: Path) -> None:
    text = "[PARAMETERS]\nwork_pool = ${POOL}-${SITE:-here}\nlog_path = ${LOGS:-}x\n"
    got = load(written(tmp_path, text), environment={"POOL": "a"}).parameters
    assert got.work_pool == "a-here" and got.log_path == tmp_path / "x"


def test_a_mark_at_the_start_of_the_file_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "some.cfg"
    path.write_bytes(b"\xef\xbb\xbf[NETWORK]\r\nprevious = 4\r\n")
    assert load(path).network.previous == 4


def test_a_list_of_machines(tmp_path: Path) -> None:
    text = "[PROC_MACHINES]\nnames = a, b,c\nhosts = h1, h2, h3\ncpu = 8, 16, 8\nmemory_gb = 64\nstart = ssh\n"
    machines = load(written(tmp_path, text)).machines
    assert [(m.name, m.host, m.cpu, m.memory_gb, m.disk, m.start) for m in machines] == [
        ("a", "h1", 8, 64, 100, "ssh"),
        ("b", "h2", 16, 64, 100, "ssh"),
        ("c", "h3", 8, 64, 100, "ssh"),
    ]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().network.previous = 9  # type: ignore[misc]


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_path({}) == ROOT / "satdaemon.cfg"
    written(tmp_path, "").rename(tmp_path / "satdaemon.cfg")
    assert default_path({}) == tmp_path / "satdaemon.cfg"
    assert default_path({"SATDAEMON_CONFIG": "/x/y.cfg"}) == Path("/x/y.cfg")
    monkeypatch.setenv("SATDAEMON_CONFIG", str(tmp_path / "satdaemon.cfg"))
    assert load().source == tmp_path / "satdaemon.cfg"


# what is wrong


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[NETWROK]\n", "[NETWROK]: expected one of ARCHIVES, COHERENCE, DOWNLOAD, INGEST, NETWORK"),
        ("[DEFAULT]\ncpu = 1\n", "[DEFAULT]: expected one of"),
        ("[source]\nx = 1\n", "[source]: expected one of"),
        ("[NETWORK]\nprevius = 3\n", "[NETWORK] previus: expected one of the known keys (previous, annual_pairs,"),
        ("[NETWORK]\nprevious = 0\n", "[NETWORK] previous: expected: Input should be greater than or equal to 1; got '0'"),
        ("[NETWORK]\nprevious = three\n", "[NETWORK] previous: expected: Input should be a valid integer"),
        ("[NETWORK]\nprevious =\n", "got ''"),
        ("[NETWORK]\nmin_coverage = nan\n", "[NETWORK] min_coverage: expected: Input should be a finite number; got 'nan'"),
        ("[UNWRAP]\ncpu = inf\n", "[UNWRAP] cpu: expected: Input should be"),
        ("[DOWNLOAD]\naccept_resorb = perhaps\n", "[DOWNLOAD] accept_resorb: expected: Input should be a valid boolean"),
        ("[DOWNLOAD]\ntransfer = teleport\n", "[DOWNLOAD] transfer: expected: Input should be 'copy' or 'link'; got 'teleport'"),
        ("[PARAMETERS]\npolarisation = vx\n", "[PARAMETERS] polarisation: expected: Input should be 'vv' or 'hh'; got 'vx'"),
        (
            "[PARAMETERS]\ndatabase = mysql://x\n",
            "[PARAMETERS] database: expected: a URL that starts with sqlite: or postgresql+psycopg2:; got 'mysql://x'",
        ),
        ("[PARAMETERS]\npoints_database = mysql://x\n", "[PARAMETERS] points_database: expected: a URL that starts"),
        ("[UNWRAP]\nprocessor = command\n", "[UNWRAP] (section): expected: a program in `command` where processor = command"),
        ("[UNWRAP]\ncommand = a 'b\n", """[UNWRAP] (section): expected: a `command` that splits into words as in a shell"""),
        ("[NOTIFY]\nlevel = loud\n", "[NOTIFY] level: expected: Input should be 'info', 'warning' or 'error'; got 'loud'"),
        ("[PARAMETERS]\ndem = no/such.tif\n", "[PARAMETERS] dem: expected an existing path, found nothing at"),
        ("[DOWNLOAD]\narchives = local, esa\n", "archives: expected: distinct names out of local, asf, cdse; got local, esa"),
        ("[DOWNLOAD]\narchives =\n", "[DOWNLOAD] archives: expected: distinct names out of local, asf, cdse; got nothing"),
        ("[DOWNLOAD]\narchives = asf, asf\n", "[DOWNLOAD] archives: expected: distinct names out of"),
        ("[ARCHIVES]\nasf_search = cmr\n", "[ARCHIVES] asf_search: expected: an address such as https://host"),
        ("[ARCHIVES]\nasf_search = https://me:word@host\n", "in it; got 'https://***@host'"),
        ("[ARCHIVES]\ncdse_login = http://a.org\n", "[ARCHIVES] cdse_login: expected: an https:// address: passwords are sent"),
        ("[ARCHIVES]\nasf_hosts = org\n", "[ARCHIVES] asf_hosts: expected: names of hosts, NAME or HOST:PORT"),
        ("[ARCHIVES]\ncdse_hosts =\n", "[ARCHIVES] cdse_hosts: expected: at least one host"),
        ("[ARCHIVES]\ncdse_download = https://x.org\n", "cdse_download at one of cdse_hosts (dataspace.copernicus.eu), which"),
        ("[DOWNLOAD]\narchive_path = gone\n", "[DOWNLOAD] archive_path: expected an existing path, found nothing at"),
        (
            "[PARAMETERS]\nwork_pool = ${NOT_SET_ANYWHERE}\n",
            "[PARAMETERS] work_pool: expected the environment variable NOT_SET_ANYWHERE to be set, got nothing",
        ),
        ("[PARAMETERS]\nwork_pool = ${MY-POOL}\n", "[PARAMETERS] work_pool: expected ${NAME} or ${NAME:-default}, got"),
        ("[PROC_MACHINES]\nnames =\n", "[PROC_MACHINES] names: expected distinct names, got none"),
        ("[PROC_MACHINES]\nnames = a, a\n", "[PROC_MACHINES] names: expected distinct names, got a, a"),
        ("[PROC_MACHINES]\nnames = a, b, c\ncpu = 1, 2\n", "[PROC_MACHINES] cpu: expected 1 or 3 values (one a name), got 2"),
        ("[PROC_MACHINES]\nhosts =\n", "[PROC_MACHINES] hosts: expected 1 or 2 values (one a name), got 0"),
        ("[PROC_MACHINES]\ncpu = many\n", "[PROC_MACHINES] cpu: expected: Input should be a valid number"),
        ("[PROC_MACHINES]\nmemory_gb = inf\n", "[PROC_MACHINES] memory_gb: expected: Input should be a finite number"),
        ("[PROC_MACHINES]\nports = 99999\n", "[PROC_MACHINES] port: expected: Input should be less than or equal to 65535"),
        ("[PROC_MACHINES]\nnames = a b\n", "[PROC_MACHINES] name: expected: String should match pattern"),
        ("[PROC_MACHINES]\nstart = magic\n", "[PROC_MACHINES] start: expected: Input should be 'local', 'ssh',"),
        (
            "[UNWRAP]\nmemory_gb = 6\n",
            "[UNWRAP] cpu, memory_gb, disk: expected a job that fits on one of the machines, got 1, 6, 10; the largest, ",
        ),
        ("previous = 3\n", "expected INI sections and `key = value` lines, got: File contains no section headers"),
        ("[NETWORK]\nprevious\n", "expected INI sections and `key = value` lines, got"),
        ("[NETWORK]\nprevious = 3\nprevious = 4\n", "option 'previous' in section 'NETWORK' already exists"),
        ("[NETWORK]\n[NETWORK]\n", "section 'NETWORK' already exists"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(tmp_path, text)


def test_all_problems_at_once(tmp_path: Path) -> None:
    message = refused(tmp_path, "[X]\n[NETWORK]\nprevious = 0\nmax_days = -1\nfoo = 1\n[SLC]\ncpu = 0\n")
    assert len(message.splitlines()) == 5
    message = refused(tmp_path, "[PARAMETERS]\ndem = a\n[DOWNLOAD]\narchive_path = b\n[PROC_MACHINES]\ncpu = 1, 2, 3\n")
    assert len(message.splitlines()) == 3


def test_a_missing_variable_is_said_together_with_other_problems(tmp_path: Path) -> None:
    message = refused(tmp_path, "[PARAMETERS]\nwork_pool = ${A}\nlog_path = ${B}\n[SLC]\ntries = 0\n", environment={})
    assert "variable A" in message and "variable B" in message and "[SLC] tries" in message


def test_a_file_that_is_not_there_not_text_or_a_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.cfg", tmp_path):
        with pytest.raises(ConfigError, match=r"expected a readable configuration file, .* Name another with -d FILE"):
            load(path)
    (tmp_path / "binary.cfg").write_bytes(b"\xff\xfe\x00[")
    with pytest.raises(ConfigError, match="expected a readable configuration file"):
        load(tmp_path / "binary.cfg")


def test_paths_need_not_exist_where_they_are_not_to_be_checked(tmp_path: Path) -> None:
    got = load(written(tmp_path, "[PARAMETERS]\ndem = later.tif\n"), check_paths=False)
    assert got.parameters.dem == tmp_path / "later.tif"
