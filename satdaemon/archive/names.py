"""Which archive a product's address belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

LOCAL = "local"
HOSTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"asf": ("asf.alaska.edu", "earthdata.nasa.gov"), "cdse": ("dataspace.copernicus.eu",)}
)
"""An archive's hosts, and all below them: its token is shown to no other."""


def archive_of(url: str | None) -> str:
    """`local` for a file or no address, `asf` or `cdse` by the host, else the host itself."""
    parts = urlsplit(url or "")
    if parts.scheme in ("", "file") or not parts.hostname:
        return LOCAL
    host = parts.hostname
    return next((name for name, ends in HOSTS.items() for end in ends if host == end or host.endswith(f".{end}")), host)
