"""SQL over the catalogue's Parquet files: DuckDB views with prices and sizes as numbers and times as timestamps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Final

import duckdb
import pandas as pd
import pyarrow as pa
from duckdb.func import PythonUDFType
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.persistence.funcs import class_to_filename

from amm500_catalog.errors import InputError
from amm500_catalog.store import SIMULATED
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import decimals
from amm500_catalog.tables import parse_file_name


# view name -> the class of its rows
VIEWS: Final[dict[str, type]] = {
    "depth": OrderBookDepth10,
    "deltas": OrderBookDelta,
    "quotes": QuoteTick,
    "trades": TradeTick,
    "bars": Bar,
    "funding": FundingRateUpdate,
    "index_prices": IndexPriceUpdate,
    "mark_prices": MarkPriceUpdate,
}
# PIVOT is several to DuckDB
READING: Final = (
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.MULTI,
)
# columns that say something as text
TEXTS: Final = {
    "aggressor_side": "CASE aggressor_side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS side",
    "action": "CASE action WHEN 1 THEN 'add' WHEN 2 THEN 'update' WHEN 3 THEN 'delete' WHEN 4 THEN 'clear' END AS action",
    "side": "CASE side WHEN 1 THEN 'bid' WHEN 2 THEN 'ask' END AS side",
    "rate": "CAST(replace(decode(rate), '\"', '') AS DOUBLE) AS rate",
    "ts_event": "make_timestamp_ns(CAST(ts_event AS BIGINT)) AS ts_event",
    "ts_init": "make_timestamp_ns(CAST(ts_init AS BIGINT)) AS ts",
    "next_funding_ns": "make_timestamp_ns(CAST(next_funding_ns AS BIGINT)) AS next_funding",
}
REAL: Final = "real"
MAX_TEXT_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of an answer with the names of their columns; ``text()`` lays them out for a terminal."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def text(self, *, limit: int = MAX_TEXT_ROWS) -> str:
        """Return an aligned table; rows past ``limit`` are counted, not shown."""
        cells = [[_cell(value) for value in row] for row in self.rows[:limit]]
        widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(self.columns)]
        lines = [_line(self.columns, widths), "  ".join("-" * width for width in widths)]
        lines.extend(_line(row, widths) for row in cells)
        if len(self.rows) > limit:
            lines.append(f"... {len(self.rows) - limit} more rows")
        return "\n".join(lines)

    def frame(self) -> pd.DataFrame:
        """Return the rows as a table of pandas."""
        return pd.DataFrame(list(self.rows), columns=list(self.columns))


def connect(
    root: str | CatalogStore, storage_options: dict[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """
    Return a DuckDB connection with one view a stream: ``depth``, ``deltas``, ``quotes``, ``trades``, ``bars``, ``funding``,
    ``index_prices``, ``mark_prices``.

    Each view has ``dataset`` (``real``, or a simulated label), ``instrument_id`` (``bar_type`` for bars), ``ts`` (when it is handed to
    a run) and ``ts_event`` in UTC, and prices and sizes as doubles. A stream without files is an empty view without its own columns.

    Parameters
    ----------
    root : str or CatalogStore
        The catalogue.
    storage_options : dict, optional
        For the fsspec filesystem.

    Raises
    ------
    InputError
        If a stored file is damaged, or its name states no span.

    """  # noqa: D205 -- the list of views does not fit one line
    store = root if isinstance(root, CatalogStore) else CatalogStore(root, storage_options)
    views = {view: _view_sql(store, cls) for view, cls in VIEWS.items()}
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.create_function("fixed", _fixed, ["blob"], "double", type=PythonUDFType.ARROW)
    if not store.is_local:
        connection.register_filesystem(store.fs)
    try:
        for view, sql in views.items():
            connection.execute(f'CREATE VIEW "{view}" AS {sql}')
    except duckdb.Error as e:
        connection.close()
        raise InputError(
            f"a stored file cannot be read ({_first_line(e)})",
            store.url,
            "complete Parquet files; `amm500 catalog check` names what is damaged",
        ) from e
    return connection


def query(root: str | CatalogStore, sql: str, storage_options: dict[str, Any] | None = None) -> Rows:
    """
    Return the answer of one SQL statement over the views of :func:`connect`; it reads and nothing else.

    Raises
    ------
    InputError
        If DuckDB refuses the statement, or it is more than one, or would write or change something; if a stored file is damaged.

    """
    connection = connect(root, storage_options)
    try:
        kinds = [statement.type for statement in connection.extract_statements(sql)]
        if len(kinds) != 1 or kinds[0] not in READING:
            raise InputError(
                f"the query was refused ({', '.join(kind.name for kind in kinds) or 'it is empty'})",
                "catalog query",
                "one statement that reads, such as SELECT",
            )
        answer = connection.execute(sql)
        columns = tuple(str(item[0]) for item in answer.description or ())
        return Rows(columns, tuple(tuple(row) for row in answer.fetchall()))
    except duckdb.Error as e:
        raise InputError(
            f"the query was refused ({_first_line(e)})",
            "catalog query",
            "SQL over " + ", ".join(VIEWS),
        ) from e
    finally:
        connection.close()


def _fixed(values: pa.ChunkedArray) -> pa.Array:
    # duckdb hands variable-width binary; every value is 16 bytes
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return pa.array(decimals(array.cast(pa.binary(16))))


def _view_sql(store: CatalogStore, cls: type) -> str:
    folder = class_to_filename(cls)
    sources = [
        (REAL, store.root),
        *((label, f"{store.root}/{SIMULATED}/{label}") for label in store.labels()),
    ]
    selects = []
    for dataset, base in sources:
        paths = sorted(store.fs.glob(f"{base}/data/{folder}/*/*.parquet"))
        for path in paths:
            if parse_file_name(path.rpartition("/")[2]) is None:
                raise InputError(
                    "the file's name states no span", path, "files written by this catalogue or by Nautilus"
                )
        if paths:
            selects.append(_select(store, dataset, paths, cls))
    key = "bar_type" if cls is Bar else "instrument_id"
    if not selects:
        return (
            f"SELECT NULL::VARCHAR AS dataset, NULL::VARCHAR AS {key}, NULL::TIMESTAMP_NS AS ts WHERE false"
        )
    return " UNION ALL BY NAME ".join(selects)


def _select(store: CatalogStore, dataset: str, paths: Sequence[str], cls: type) -> str:
    schema = store.read_metadata(paths[0]).schema.to_arrow_schema()
    columns = []
    for field in schema:
        if field.name in TEXTS:
            columns.append(TEXTS[field.name])
        elif pa.types.is_fixed_size_binary(field.type):
            columns.append(_number(field.name, cls))
        else:
            columns.append(f'"{field.name}"')
    key = "bar_type" if cls is Bar else "instrument_id"
    urls = paths if store.is_local else [store.fs.unstrip_protocol(path) for path in paths]
    files = ", ".join(_quoted(url) for url in urls)
    return (
        f"SELECT {_quoted(dataset)} AS dataset, regexp_extract(filename, '([^/]+)/[^/]+$', 1) AS {key}, "  # noqa: S608
        f"{', '.join(columns)} FROM read_parquet([{files}], filename = true, union_by_name = true)"
    )


def _number(name: str, cls: type) -> str:
    if cls is OrderBookDelta:
        # a CLEAR has no price and no size
        return f'CASE WHEN action = 4 THEN NULL ELSE fixed("{name}") END AS "{name}"'
    return f'fixed("{name}") AS "{name}"'


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
