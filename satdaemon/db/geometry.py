"""Geometry columns on two dialects: PostGIS geometry, or a WKB BLOB with an R*Tree beside it on SQLite.

The Python value is a shapely geometry in longitude and latitude (WGS84). `column.intersects(shape)` becomes
ST_Intersects on PostgreSQL, and on SQLite the table's R*Tree followed by an exact test in shapely.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Dialect, LargeBinary, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import NullType, TypeDecorator, UserDefinedType

# shapely and GeoAlchemy2 are imported where they are first needed: a process that only looks at states loads neither.

SRID = 4326
SQLITE_FUNCTION = "satdaemon_intersects"


class _PostGis(UserDefinedType[Any]):
    """PostGIS's own type. Hexadecimal EWKB is what it reads and sends by itself: no function is wrapped around it."""

    cache_ok = True

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def get_col_spec(self, **_: Any) -> str:
        return f"geometry({self.kind},{SRID})"


class Geom(TypeDecorator[Any]):
    """A geometry of one kind (POLYGON, MULTIPOLYGON, POINT)."""

    impl = _PostGis
    cache_ok = True

    def __init__(self, kind: str = "POLYGON") -> None:
        self.kind = kind
        super().__init__(kind)

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """A BLOB on SQLite."""
        return LargeBinary() if dialect.name == "sqlite" else self.impl

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Python -> database."""
        if value is None:
            return None
        import shapely

        return shapely.to_wkb(shapely.set_srid(value, SRID), include_srid=True, hex=dialect.name == "postgresql")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Database -> Python."""
        if value is None:
            return None
        import shapely

        return shapely.from_wkb(value)

    @property
    def comparator_factory(self) -> Any:  # type: ignore[override]
        """GeoAlchemy2's operators and functions (`File.footprint.ST_Area()`), and `intersects`."""
        return _comparator()


@cache
def _comparator() -> Any:
    from geoalchemy2.comparator import Comparator

    class GeomComparator(Comparator):
        def intersects(self, shape: Any) -> Any:
            """True where the column's geometry and `shape` have a point in common."""
            bounds = [literal(float(x)) for x in shape.bounds]
            return GeomIntersects(self.expr, literal(shape, self.expr.type), *bounds)

    return GeomComparator


class GeomIntersects(GenericFunction[Any]):
    """`column.intersects(shape)`; a NullType result, or SQLite would add `= 1` and not use the R*Tree."""

    type = NullType()
    inherit_cache = True
    name = "geom_intersects"


@compiles(GeomIntersects, "postgresql")
def _on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    column, shape, *_ = list(element.clauses)
    return f"ST_Intersects({compiler.process(column, **options)}, {compiler.process(shape, **options)}::geometry)"


@compiles(GeomIntersects, "sqlite")
def _on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    column, shape, *bounds = list(element.clauses)
    x0, y0, x1, y1 = (compiler.process(b, **options) for b in bounds)
    table = column.table.name
    key = compiler.process(column.table.c.number, **options)
    return (
        f"({key} IN (SELECT id FROM {table}_rtree WHERE maxx >= {x0} AND maxy >= {y0} AND minx <= {x1} AND miny <= {y1})"
        f" AND {SQLITE_FUNCTION}({compiler.process(column, **options)}, {compiler.process(shape, **options)}))"
    )


def register_on_sqlite(connection: Any) -> None:
    """Give a SQLite connection the exact test. The shape is prepared once a query."""
    prepared: dict[bytes, Any] = {}

    def intersects(geometry: bytes | None, shape: bytes) -> int:
        if geometry is None:
            return 0
        import shapely

        ready = prepared.get(shape)
        if ready is None:
            prepared.clear()
            ready = prepared[shape] = shapely.from_wkb(shape)
            shapely.prepare(ready)
        return int(shapely.intersects(ready, shapely.from_wkb(geometry)))

    connection.create_function(SQLITE_FUNCTION, 2, intersects, deterministic=True)


def rtree_ddl(table: str) -> tuple[str, ...]:
    """SQLite: an R*Tree over the bounding-box columns of a table with an integer `number`, kept up by triggers."""
    box = "new.number, new.minx, new.maxx, new.miny, new.maxy"
    return (
        f"CREATE VIRTUAL TABLE {table}_rtree USING rtree(id, minx, maxx, miny, maxy)",
        f"CREATE TRIGGER {table}_rtree_insert AFTER INSERT ON {table} WHEN new.minx IS NOT NULL"
        f" BEGIN INSERT INTO {table}_rtree VALUES ({box}); END",
        f"CREATE TRIGGER {table}_rtree_update AFTER UPDATE OF number, minx, maxx, miny, maxy ON {table}"
        f" BEGIN DELETE FROM {table}_rtree WHERE id = old.number;"
        f" INSERT INTO {table}_rtree SELECT {box} WHERE new.minx IS NOT NULL; END",
        f"CREATE TRIGGER {table}_rtree_delete AFTER DELETE ON {table} BEGIN DELETE FROM {table}_rtree WHERE id = old.number; END",
    )
