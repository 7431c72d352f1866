"""What a site is set up with: systemd units, container files, the example, certificates."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from deployments.parts import KINDS
from satdaemon.config import load
from satdaemon.errors import ConfigError, RequestError
from satdaemon.machines.certificates import make_certificates

DEPLOYMENTS = Path(__file__).resolve().parents[1] / "deployments"
UNITS = sorted((DEPLOYMENTS / "systemd").iterdir())


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    program = tmp_path / "satdaemon"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/satdaemon/.venv/bin/satdaemon", str(program)))
    names = [str(tmp_path / unit.name.replace("@", "@alder")) for unit in UNITS if "@" not in unit.name]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *names, str(tmp_path / "satdaemon-worker@.service")],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "satdaemon" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_there_is_a_unit_for_every_part() -> None:
    lines = [line for unit in UNITS for line in unit.read_text().splitlines() if "--only" in line]
    started = {line.split("--only ")[1].split()[0] for line in lines}
    assert started == set(KINDS)


def environment(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("name", ["head.env", "machine.env"])
def test_the_example_is_a_configuration_that_is_taken(name: str) -> None:
    example = DEPLOYMENTS / "example"
    settings = load(example / "satdaemon.cfg", check_paths=False, environment=environment(example / name))
    assert [machine.name for machine in settings.machines] == ["alder", "birch", "cedar"]
    host = environment(example / name)["SATDAEMON_HOST"]
    assert settings.parameters.dask_key == example / "tls" / f"{host}.key"


def test_compose_starts_every_part_with_a_configuration_that_is_taken() -> None:
    containers = DEPLOYMENTS / "containers"
    services = yaml.safe_load((containers / "compose.yaml").read_text())["services"]
    commands = [service["command"] for service in services.values() if "command" in service]
    assert {command[2] for command in commands} == set(KINDS)
    values = {"PGPASSWORD": "x", "SATDAEMON_HOST": "m1"}
    settings = load(containers / "satdaemon.cfg", check_paths=False, environment=values)
    workers = [command[3] for command in commands if command[2] == "worker"]
    assert workers == [machine.name for machine in settings.machines]


def test_certificates_are_of_one_authority_and_keys_are_private(tmp_path: Path) -> None:
    place = tmp_path / "tls"
    made = make_certificates(place, ["head.example.org", "10.0.0.7", "head.example.org"])
    assert {path.name for path in made} == {
        f"{stem}.{kind}" for stem in ("ca", "head.example.org", "10.0.0.7") for kind in ("pem", "key")
    }
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made}
    assert all(mode == (0o600 if name.endswith(".key") else 0o644) for name, mode in modes.items())
    authority = x509.load_pem_x509_certificate((place / "ca.pem").read_bytes())
    for host in ("head.example.org", "10.0.0.7"):
        certificate = x509.load_pem_x509_certificate((place / f"{host}.pem").read_bytes())
        certificate.verify_directly_issued_by(authority)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(name.value) for name in names] == [host]
    assert isinstance(authority.public_key(), ec.EllipticCurvePublicKey)
    again = make_certificates(place, ["head.example.org", "new"])
    assert {path.name for path in again} == {"new.pem", "new.key"}, "what is there stays"
    assert authority == x509.load_pem_x509_certificate((place / "ca.pem").read_bytes())


def test_certificates_that_cannot_be_made(tmp_path: Path) -> None:
    for name in ("../evil", "", "ca", "a b"):
        with pytest.raises(RequestError, match="expected names or addresses of hosts"):
            make_certificates(tmp_path, [name])
    make_certificates(tmp_path, [])
    (tmp_path / "ca.key").unlink()
    with pytest.raises(RequestError, match=r"expected ca.key beside .*ca.pem"):
        make_certificates(tmp_path, ["head"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("dask_ca = a\n", "dask_ca, dask_cert and dask_key together or none of them, got dask_ca alone"),
        ("dask_ca = a\ndask_cert = b\ndask_key = c\n", "dask_scheduler = tls://HOST:PORT with dask_ca"),
        ("dask_scheduler = tls://h:1\n", "dask_scheduler = tcp://HOST:PORT without certificates"),
        ("prefect_database = sqlite:///x\n", r"expected: a URL that starts with postgresql\+asyncpg:"),
    ],
)
def test_half_of_tls_is_refused(tmp_path: Path, lines: str, message: str) -> None:
    file = tmp_path / "satdaemon.cfg"
    file.write_text(f"[PARAMETERS]\n{lines}")
    with pytest.raises(ConfigError, match=message):
        load(file, check_paths=False)
