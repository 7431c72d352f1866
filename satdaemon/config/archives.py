"""[ARCHIVES]: where the archives are that scenes are searched in and fetched from over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from satdaemon.config.base import CommaList, Section

ARCHIVES = ("local", "asf", "cdse")
"""Names that `[DOWNLOAD] archives` takes."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ArchiveSettings(Section):
    """[ARCHIVES]: addresses of the archives (a site's mirror, or stand-ins), and who may see their tokens."""

    asf_search: str = Field(
        "https://cmr.earthdata.nasa.gov", description="Address of NASA's Common Metadata Repository, which is searched for asf."
    )
    asf_login: str = Field(
        "https://urs.earthdata.nasa.gov", description="Address of Earthdata Login, which gives tokens for name and password."
    )
    asf_hosts: CommaList = Field(
        ("asf.alaska.edu", "earthdata.nasa.gov", "earthdatacloud.nasa.gov"),
        description="Hosts of asf, which alone may see its token: a name (and all below, by https), or HOST:PORT for just that.",
    )
    asf_bursts: str = Field(
        "https://sentinel1-burst.asf.alaska.edu",
        description="Address of asf's burst extractor, for [DOWNLOAD] bursts_only; at one of asf_hosts.",
    )
    cdse_catalogue: str = Field(
        "https://catalogue.dataspace.copernicus.eu",
        description="Address of the Copernicus catalogue, which is searched for cdse.",
    )
    cdse_download: str = Field(
        "https://download.dataspace.copernicus.eu", description="Address that cdse's products are fetched from."
    )
    cdse_login: str = Field(
        "https://identity.dataspace.copernicus.eu", description="Address of the Copernicus login, which gives cdse's tokens."
    )
    cdse_hosts: CommaList = Field(
        ("dataspace.copernicus.eu",), description="Hosts of cdse, which alone may see its token; written as asf_hosts."
    )
    timeout_s: float = Field(
        60.0, ge=0.1, le=3600, description="Seconds without a byte from an archive after which it counts as not answering."
    )
    pause_s: float = Field(
        1.0, ge=0, le=600, description="Seconds until an archive that failed is asked again by the same job; doubles a try."
    )

    @field_validator("asf_search", "asf_login", "asf_bursts", "cdse_catalogue", "cdse_download", "cdse_login")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = _parts(value)
        if parts is None or parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            # The value itself may hold a password: the loader shows it, so that it must not be one.
            raise ValueError("an address such as https://host, without a login, a question or a fragment in it")
        return value.rstrip("/")

    @field_validator("asf_login", "cdse_login")
    @classmethod
    def _is_private(cls, value: str) -> str:
        parts = _parts(value)
        if parts is None or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
            raise ValueError("an https:// address: passwords are sent there (http:// is for this host alone)")
        return value

    @field_validator("asf_hosts", "cdse_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            name, _, port = one.rpartition(":") if ":" in one else (one, "", "443")
            is_name = name == "localhost" or "." in name.strip(".")
            if not is_name or not port.isdecimal() or set("/@?# ") & set(one):
                raise ValueError(f"names of hosts, NAME or HOST:PORT, such as asf.alaska.edu; got {one!r}")
        if not value:
            raise ValueError("at least one host")
        return tuple(one.lower() for one in value)

    @model_validator(mode="after")
    def _download_at_own_host(self) -> Self:
        parts = _parts(self.cdse_download)
        if parts is None or not is_of(parts, self.cdse_hosts):
            hosts = ", ".join(self.cdse_hosts)
            raise ValueError(f"cdse_download at one of cdse_hosts ({hosts}), which alone get the token; got {self.cdse_download}")
        return self

    @property
    def has_bursts(self) -> bool:
        """True where the burst extractor is at one of asf's own hosts, so that it may see asf's token."""
        parts = _parts(self.asf_bursts)
        return parts is not None and is_of(parts, self.asf_hosts)

    @property
    def hosts(self) -> Mapping[str, tuple[str, ...]]:
        """Of each archive, the hosts that are its own."""
        return {"asf": self.asf_hosts, "cdse": self.cdse_hosts}


def is_of(parts: SplitResult, hosts: tuple[str, ...]) -> bool:
    """True where an address is at one of the hosts: NAME and all below it, or HOST:PORT."""
    host = (parts.hostname or "").lower()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return any(f"{host}:{port}" == one if ":" in one else host == one or host.endswith(f".{one}") for one in hosts)


def _parts(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if good and not any(c.isspace() for c in value) else None
