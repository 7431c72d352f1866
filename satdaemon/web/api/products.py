"""Products and their pictures."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field

from satdaemon.db import Product
from satdaemon.db.quicklook_view import product_by_id, quicklook_path, quicklooks_of
from satdaemon.domain import Quicklook
from satdaemon.web.api.common import ANSWERS
from satdaemon.web.quicklooks import address_of, name_of, why_unseen
from satdaemon.web.state import state_of

MEDIA = "image/png"
KEPT_S = 86400
"""A picture never changes: what is made again is another product."""
router = APIRouter(prefix="/api/products", tags=["products"], responses=ANSWERS)
ProductId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Name = Annotated[str, Path(max_length=40, pattern="^[a-z]+$", description="As the list of pictures says.")]
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA: {"schema": {"type": "string", "format": "binary"}}}, "description": "The picture."},
    304: {"description": "It is the one that If-None-Match names."},
}


class QuicklookOut(BaseModel):
    """A picture of a product."""

    name: str
    href: str = Field(description="Where it is read, on this server.")
    about: Quicklook


def quicklooks_out(product: Product) -> list[QuicklookOut]:
    """Pictures of a product, with their addresses."""
    return [
        QuicklookOut(name=name_of(one), href=address_of(product.id, one), about=one) for one in quicklooks_of(product)
    ]


@router.get("/{product_id}/quicklooks")
def quicklooks(request: Request, product_id: ProductId) -> list[QuicklookOut]:
    """Which pictures a product has, and how their colours are read."""
    return quicklooks_out(_known(request, product_id))


@router.get("/{product_id}/quicklooks/{name}", response_class=FileResponse, responses=_PICTURE)
def quicklook(request: Request, product_id: ProductId, name: Name) -> Response:
    """A picture, as PNG."""
    product = _known(request, product_id)
    if name not in {name_of(one) for one in quicklooks_of(product)}:
        raise HTTPException(404, f"product {product_id} has no picture {name!r}")
    headers = {"ETag": f'"{product.id}-{product.fingerprint[:16]}-{name}"', "Cache-Control": f"private, max-age={KEPT_S}"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    problem, path = why_unseen(product, name), quicklook_path(product, name)
    if problem is not None or path is None:
        raise HTTPException(404, f"picture {name!r} of product {product_id}: {problem}")
    return FileResponse(path, media_type=MEDIA, headers=headers)


def _known(request: Request, product_id: int) -> Product:
    found = product_by_id(state_of(request).database, product_id)
    if found is None:
        raise HTTPException(404, f"product {product_id}: there is none of the number; it may have been made again")
    return found
