"""A stand-in for the public bucket of orbit files: ListObjectsV2 and GET, over the .EOF files of a directory."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote
from xml.sax.saxutils import escape

from satdaemon.simulator.archives.faults import Faults
from satdaemon.simulator.archives.files import of_path
from satdaemon.simulator.archives.messages import Answer, Call
from satdaemon.simulator.archives.shelf import Shelf
from satdaemon.simulator.archives.stand_in import StandIn

MOST_KEYS = 1000
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class OrbitStandIn(StandIn):
    """`base` is the address of the bucket. What is put below `folder` appears by itself.

    Requests are counted as `search` and `data`; their faults are those of `search` and `data/NAME`.
    """

    def __init__(
        self, folder: Path, faults: Faults | None = None, *, most_keys: int = MOST_KEYS, ports: tuple[int, int] = (0, 0)
    ) -> None:
        super().__init__(Shelf(), faults, False, ports)
        self.folder, self.most_keys = folder, most_keys

    def keys(self) -> dict[str, Path]:
        """Key -> file, in the order of the keys."""
        found = {}
        for path in self.folder.rglob("S1*.EOF"):
            kind = "AUX_POEORB" if "_AUX_POEORB_" in path.name else "AUX_RESORB"
            found[f"{kind}/{path.name}"] = path
        return dict(sorted(found.items()))

    def _answer(self, call: Call) -> Answer:
        if call.path == "/" and ("list-type", "2") in call.query:
            self.tally.add("search")
            return self._refused("search") or self._page(dict(call.query))
        key = unquote(call.path.lstrip("/"))
        name = key.rpartition("/")[2]
        self.tally.add("data", name)
        trouble = self.faults.next(f"data/{name}")
        path = self.keys().get(key)
        if path is None:
            return _error("NoSuchKey", "The specified key does not exist.", 404)
        return of_path(path, "binary/octet-stream", _md5(path), call, trouble)

    def _stored(self, call: Call) -> Answer:
        return _error("NoSuchBucket", "The specified bucket does not exist.", 404)

    def _page(self, query: dict[str, str]) -> Answer:
        most = min(int(query.get("max-keys") or self.most_keys), self.most_keys)
        prefix = query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        matching = [(key, path) for key, path in self.keys().items() if key.startswith(prefix) and key > after]
        shown = matching[:most]
        is_cut = len(matching) > len(shown)
        entries = "".join(_entry(key, path) for key, path in shown)
        token = f"<NextContinuationToken>{escape(shown[-1][0])}</NextContinuationToken>" if is_cut and shown else ""
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{_NAMESPACE}"><Name>s1-orbits</Name>'
            f"<Prefix>{escape(prefix)}</Prefix><StartAfter>{escape(after)}</StartAfter><KeyCount>{len(shown)}</KeyCount>"
            f"<MaxKeys>{most}</MaxKeys><IsTruncated>{str(is_cut).lower()}</IsTruncated>{token}{entries}</ListBucketResult>"
        )
        return Answer(200, {"Content-Type": "application/xml"}, body.encode())


def _entry(key: str, path: Path) -> str:
    about = path.stat()
    changed = f"{datetime.fromtimestamp(about.st_mtime, UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{changed}</LastModified><ETag>&quot;{_md5(path)}&quot;</ETag>"
        f"<Size>{about.st_size}</Size><StorageClass>INTELLIGENT_TIERING</StorageClass></Contents>"
    )


def _error(code: str, words: str, status: int) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{words}</Message></Error>'
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
