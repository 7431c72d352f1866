"""Which archive a product's address belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from satdaemon.config.archives import ArchiveSettings, is_of

LOCAL = "local"
HOSTS: Mapping[str, tuple[str, ...]] = ArchiveSettings().hosts
"""An archive's hosts where nothing else is configured: its token is shown to no other."""


def archive_of(url: str | None, hosts: Mapping[str, tuple[str, ...]] = HOSTS) -> str:
    """`local` for a file or no address, `asf` or `cdse` by the hosts that are theirs, else the host itself."""
    parts = urlsplit(url or "")
    if parts.scheme in ("", "file") or not parts.hostname:
        return LOCAL
    return next((name for name, own in hosts.items() if is_of(parts, own)), parts.hostname)
