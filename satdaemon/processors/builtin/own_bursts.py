"""Which bursts of a swath are the frame's: asked where they are fetched, and where they are cut out."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from satdaemon.domain import Frame
from satdaemon.insar.annotation import SafeBurst, read_bursts
from satdaemon.insar.safe import SafeProduct
from satdaemon.planning.bursts import match_bursts


def own_bursts(frame: Frame, product: SafeProduct, root: Element) -> tuple[list[SafeBurst], dict[str, SafeBurst]]:
    """All bursts of the swath whose annotation is `root`, and those of the frame by the frame's ids. Raises as `read_bursts`."""
    bursts = read_bursts(root, (product.track, product.stop_track), product.orbit_direction)
    by_id = {burst.id: burst for burst in bursts}
    matches = match_bursts(frame.bursts, (burst.to_domain() for burst in bursts))
    return bursts, {frame_id: by_id[own] for frame_id, own in matches.items()}
