"""Which archive a product's address belongs to."""

from __future__ import annotations

from urllib.parse import urlsplit

LOCAL = "local"
_HOSTS = {
    "asf.alaska.edu": "asf",
    "earthdata.nasa.gov": "asf",
    "dataspace.copernicus.eu": "cdse",
}


def archive_of(url: str | None) -> str:
    """`local` for a file or no address, `asf` or `cdse` by the host, else the host itself."""
    parts = urlsplit(url or "")
    if parts.scheme in ("", "file") or not parts.hostname:
        return LOCAL
    host = parts.hostname
    return next((name for end, name in _HOSTS.items() if host == end or host.endswith(f".{end}")), host)
