"""The API below /api: the same views and actions as the pages, typed, as JSON."""

from satdaemon.web.api import acting, document, frames, geojson, products, stac, system

ROUTERS = tuple(part.router for part in (document, system, frames, products, geojson, stac, acting))
