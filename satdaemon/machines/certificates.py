"""A private certificate authority for TLS on Dask.   satdaemon certificates DIR HOST..."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from satdaemon.errors import RequestError

YEARS = 10
"""How long the authority and its certificates are good. Made again by deleting the files."""
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
    "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?")


def make_certificates(directory: Path, hosts: Iterable[str]) -> list[Path]:
    """Make ca.pem and ca.key where they are not there yet, and HOST.pem and HOST.key for each host that has none.

    Keys are readable by this user alone (0600). Returns what was made. RequestError for what is no name of a host.
    """
    wanted = list(dict.fromkeys(hosts))
    for host in wanted:
        if not _HOST.fullmatch(host) or host == "ca":
            raise RequestError(f"certificates: expected names or addresses of hosts, got {host!r}")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    made: list[Path] = []
    authority, authority_key = _authority(directory, made)
    for host in wanted:
        if not (directory / f"{host}.pem").exists():
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = _host(host, key, authority, authority_key)
            _write(directory / host, key, certificate, made)
    return made


def _authority(directory: Path, made: list[Path]) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate_file, key_file = directory / "ca.pem", directory / "ca.key"
    if certificate_file.exists() != key_file.exists():
        found, lacking = (certificate_file, key_file) if certificate_file.exists() else (key_file, certificate_file)
        raise RequestError(f"certificates: expected {lacking.name} beside {found}, found none: give it back, or take another DIR")
    if key_file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return x509.load_pem_x509_certificate(certificate_file.read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SatDaemon private authority")])
    signs = {name: name in ("key_cert_sign", "crl_sign") for name in _USAGES}
    certificate = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**signs), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(directory / "ca", key, certificate, made)
    return certificate, key


def _host(
    host: str, key: ec.EllipticCurvePrivateKey, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer_key = authority_key.public_key()
    return (
        _builder(name, authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks of hosts differ
        .not_valid_after(now + timedelta(days=365 * YEARS))
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(stem: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, made: list[Path]) -> None:
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for suffix, content, mode in ((".key", secret, 0o600), (".pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)):
        path = stem.with_name(stem.name + suffix)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
        path.chmod(mode)
        made.append(path)
