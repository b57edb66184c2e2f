"""Parquet in and out: each kind of table has one schema, and both ends are held to it."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scoredag.errors import InputError
from scoredag.store import files, stamp

ROW_GROUP = 1 << 16  # rows
Columns: TypeAlias = pd.DataFrame | Mapping[str, Any]
_NAME = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("us", tz="UTC")


def _schema(**columns):
    return pa.schema(list(columns.items()))


GMM = _schema(
    component=pa.int64(),
    weight=pa.float64(),
    mean_x=pa.float64(),
    mean_y=pa.float64(),
    cov_xx=pa.float64(),
    cov_xy=pa.float64(),
    cov_yy=pa.float64(),
)
POINTS = _schema(particle=pa.int64(), x=pa.float64(), y=pa.float64())
PARTICLES = _schema(particle=pa.int64(), step=pa.int64(), x=pa.float64(), y=pa.float64())
MODES = _schema(mode=pa.int64(), x=pa.float64(), y=pa.float64(), log_density=pa.float64())
MODE_SHARES = _schema(
    mode=pa.int64(),
    x=pa.float64(),
    y=pa.float64(),
    log_density=pa.float64(),
    n_particles=pa.int64(),
    share=pa.float64(),
)
LANGEVIN_METRICS = _schema(variant=pa.string(), metric=pa.string(), value=pa.float64())
CONVERGENCE = _schema(variant=pa.string(), step=pa.int64(), metric=pa.string(), value=pa.float64())
SWEEP = _schema(
    kernel=pa.string(), step_size=pa.float64(), n_steps=pa.int64(), bias=pa.float64(), std_error=pa.float64()
)
LANGEVIN_THEORY = _schema(quantity=pa.string(), value=pa.float64(), std_error=pa.float64())
STATIONARY = _schema(
    variant=pa.string(),
    component=pa.int64(),
    multiplier_across=pa.float64(),
    multiplier_along=pa.float64(),
    cov_xx=pa.float64(),
    cov_xy=pa.float64(),
    cov_yy=pa.float64(),
    circulation=pa.float64(),
)
BOUNDS = _schema(
    score_model=pa.string(),
    point=pa.int64(),
    x=pa.float64(),
    y=pa.float64(),
    nll=pa.float64(),
    nll_error=pa.float64(),
    bound=pa.float64(),
    bound_std_error=pa.float64(),
)
BOUND_ESTIMATES = _schema(
    point=pa.int64(),
    x=pa.float64(),
    y=pa.float64(),
    bound=pa.float64(),
    bound_std_error=pa.float64(),
    drawn_bound=pa.float64(),
    drawn_std_error=pa.float64(),
)
LIKELIHOODS = _schema(
    point=pa.int64(),
    x=pa.float64(),
    y=pa.float64(),
    nll=pa.float64(),
    nll_error=pa.float64(),
    gap=pa.float64(),
    flow_nll=pa.float64(),
)
LIKELIHOOD_MAP = _schema(  # null where the grid cannot tell
    x=pa.float64(), y=pa.float64(), nll=pa.float64(), gap=pa.float64(), nll_error=pa.float64(), gap_error=pa.float64()
)
QUANTITIES = _schema(quantity=pa.string(), value=pa.float64(), error=pa.float64())
STATEMENTS = _schema(
    statement=pa.string(),
    score_model=pa.string(),
    left=pa.float64(),
    right=pa.float64(),
    slack=pa.float64(),
    std_error=pa.float64(),
)
ESTIMATORS = _schema(
    estimator=pa.string(),
    times=pa.string(),
    bound=pa.float64(),
    std_error=pa.float64(),
    deviation=pa.float64(),
    evaluations=pa.int64(),
)
SCORE_ERRORS = _schema(
    law=pa.string(),
    error=pa.string(),
    amount=pa.float64(),
    divergence=pa.float64(),
    bound=pa.float64(),
    std_error=pa.float64(),
)
DYNAMICS = _schema(
    score_model=_NAME, dynamics=_NAME, time=pa.float64(), particle=pa.int64(), x=pa.float64(), y=pa.float64()
)
DYNAMICS_DISTANCES = _schema(
    score_model=pa.string(), dynamics=pa.string(), time=pa.float64(), metric=pa.string(), value=pa.float64()
)
SERIES = _schema(time=_TIME, feature=_NAME, value=pa.float64())
MISSINGNESS = _schema(
    kind=_NAME,
    feature=_NAME,
    other=_NAME,
    time=_TIME,
    bin=pa.int64(),
    count=pa.int64(),
    total=pa.int64(),
    share=pa.float64(),
)
WINDOWS = _schema(window=pa.int32(), step=pa.int32(), feature=_NAME, value=pa.float64(), role=_NAME, split=_NAME)
WINDOW_STARTS = _schema(window=pa.int32(), start=_TIME, held_out=_NAME)
STATISTICS = _schema(feature=pa.string(), mean=pa.float64(), std=pa.float64(), missing_fraction=pa.float64())
TRANSFORMED = _schema(transform=pa.string(), low=pa.float64(), high=pa.float64())
STRUCTURAL = _schema(feature=pa.string(), component=pa.string(), parameter=pa.string(), value=pa.float64())
IMPUTED = _schema(
    time=_TIME,
    feature=_NAME,
    value=pa.float64(),
    lower=pa.float64(),
    upper=pa.float64(),
    imputed=pa.bool_(),
    quality=_NAME,
)
COMPLETED = _schema(draw=pa.int32(), time=_TIME, feature=_NAME, value=pa.float64())
AGGREGATES = _schema(
    period=_NAME,
    start=_TIME,
    feature=_NAME,
    statistic=_NAME,
    estimate=pa.float64(),
    lower=pa.float64(),
    upper=pa.float64(),
    shifted=pa.float64(),
    shifted_lower=pa.float64(),
    shifted_upper=pa.float64(),
    missing=pa.float64(),
    n_steps=pa.int64(),
)
HISTORY = _schema(
    step=pa.int64(),
    epoch=pa.float64(),
    split=pa.string(),
    loss=pa.float64(),
    learning_rate=pa.float64(),
)
BASELINES = _schema(
    split=_NAME,
    window=pa.int32(),
    step=pa.int32(),
    feature=_NAME,
    method=_NAME,
    value=pa.float64(),
    deviation=pa.float64(),
)
START_CHOICE = _schema(
    step=pa.int64(), held_out=pa.string(), crps=pa.float64(), n_targets=pa.int64(), chosen=pa.bool_()
)
WINDOW_SCORES = _schema(
    window=pa.int32(),
    start=_TIME,
    held_out=_NAME,
    feature=_NAME,
    n_targets=pa.int64(),
    n_draws=pa.int64(),
    nll_bound=pa.float64(),
    nll_bound_std_error=pa.float64(),
    gaussian_nll=pa.float64(),
)
# have a column `series` before the others where a dataset holds several
OF_SERIES = (SERIES, WINDOW_STARTS, IMPUTED, COMPLETED, AGGREGATES, WINDOW_SCORES)
CSDI_METRICS = _schema(
    held_out=pa.string(),
    method=pa.string(),
    feature=pa.string(),
    metric=pa.string(),
    value=pa.float64(),
    lower=pa.float64(),
    upper=pa.float64(),
    n_targets=pa.int64(),
    n_samples=pa.int64(),
)


def imputations(n_samples: int) -> pa.Schema:
    """Schema of results/csdi/{run}/samples.parquet with `n_samples` draws a target."""
    return _schema(
        window=pa.int32(),
        step=pa.int32(),
        feature=_NAME,
        truth=pa.float64(),
        samples=pa.list_(pa.float32(), n_samples),
    )


def of_several(schema: pa.Schema) -> pa.Schema:
    """A schema of `OF_SERIES` with the column `series`."""
    return pa.schema([("series", _NAME), *schema])


def write(frame: Columns, path: files.PathLike, schema: pa.Schema) -> None:
    """Write a data frame, or a dict of columns, as Parquet with exactly the columns of `schema`.

    Tables of `OF_SERIES` keep a column `series`, windows a column `profile`, and statistics those of `TRANSFORMED`.
    """
    write_parts([frame], path, schema)


def write_parts(frames: Iterable[Columns], path: files.PathLike, schema: pa.Schema) -> None:
    """Write data frames, at least one, as `write` does their rows in one; no more than one is in memory."""
    frames = iter(frames)
    first = next(frames)
    with writing(path, _with_more(schema, first)) as write_part:
        for frame in itertools.chain([first], frames):
            write_part(frame)


def write_rows(rows: Sequence[Sequence[Any]], path: files.PathLike, schema: pa.Schema) -> None:
    """Write tuples, one a row, as Parquet with the columns of `schema`."""
    columns = zip(*rows, strict=True) if rows else [[]] * len(schema)
    write(dict(zip(schema.names, map(list, columns), strict=True)), path, schema)


@contextlib.contextmanager
def writing(path: files.PathLike, schema: pa.Schema) -> Iterator[Callable[[Columns], None]]:
    """Yield a function that appends a data frame, or dict of columns, to the Parquet file `path`.

    Row groups are of one size, whatever the size of the parts, so that these leave no trace in the
    file. Its pages have checksums, it carries the record of the job at work, if any (see `job.record`), and
    appears under its name when the block ends well.
    """
    with files.replacing(path) as partial, _writing(partial, schema) as append:
        yield append


@contextlib.contextmanager
def _writing(path, schema):
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        waiting = schema.empty_table()

        def append(frame):
            nonlocal waiting
            waiting = pa.concat_tables([waiting, _table(frame, schema)])
            while len(waiting) >= ROW_GROUP:
                writer.write_table(waiting.slice(0, ROW_GROUP))
                waiting = waiting.slice(ROW_GROUP)

        yield append
        if len(waiting):
            writer.write_table(waiting)
        writer.add_key_value_metadata(stamp.record_as_text())


def read(
    path: files.PathLike,
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    filters: list[tuple[str, str, Any]] | None = None,
) -> pd.DataFrame:
    """The table at `path` as a data frame with the columns of `schema` (or only `columns`).

    `filters` keeps rows, as in pyarrow: [("split", "==", "test")]. Tables of `OF_SERIES` may have a column `series`
    before the others.

    Raises:
        InputError: not a Parquet file, or other columns than the schema's.
    """
    return _read(path, schema, columns, filters).to_pandas()


def batches(path: files.PathLike, schema: pa.Schema, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """Yield the table at `path` in data frames of at most `ROW_GROUP` rows, as `read` gives it whole."""
    _check(path, schema)
    for part in _batches(path, columns):
        yield part.to_pandas()


def ranges(
    path: files.PathLike,
    schema: pa.Schema,
    column: str,
    ends: Iterable[tuple[Any, Any]],
    *,
    columns: Sequence[str] | None = None,
    **values: str,
) -> Iterator[pd.DataFrame]:
    """Yield the rows whose `column` lies in each range of `ends`, both included, and whose other columns have `values`.

    Only row groups that may hold some are read: where rows are in the order of `column`, no more than a range is in
    memory.
    """
    for part in _ranges(path, schema, column, ends, columns, values):
        yield part.to_pandas()


def some(
    path: files.PathLike, schema: pa.Schema, column: str, wanted: Sequence[int] | np.ndarray, **values: str
) -> pd.DataFrame:
    """The rows whose `column` is one of `wanted`, and whose other columns have `values`.

    Only row groups that may hold some are read, one at a time.
    """
    _check(path, schema)
    wanted = np.unique(np.asarray(wanted, np.int64))
    with _readable(path), _opened(path) as stream:
        least, most = _bounds(stream, column).T
        holds = np.searchsorted(wanted, least) < np.searchsorted(wanted, most, side="right")
        groups, condition = _with_values(stream, values)
        return _filtered(stream, groups & holds, condition & pc.field(column).isin(wanted.tolist())).to_pandas()


def greatest(path: files.PathLike, column: str) -> Any:
    """The largest value of a column, from the statistics in the file."""
    with _readable(path), pq.ParquetFile(path) as stream:
        return max(_bounds(stream, column)[:, 1].tolist())


def read_quantities(path: files.PathLike) -> pd.DataFrame:
    """The table of `QUANTITIES` at `path`: value and error, by quantity."""
    return read(path, QUANTITIES).set_index("quantity")


def read_imputations(path: files.PathLike, windows: Sequence[int] | None = None) -> tuple[pd.DataFrame, np.ndarray]:
    """Imputed targets: window, step, feature, truth (M,) as a data frame, and samples (S, M); or those of `windows`."""
    filters = None if windows is None else [("window", "in", list(windows))]
    return _with_matrix(_read(path, imputations(_n_samples(path)), None, filters))


def imputation_ranges(
    path: files.PathLike, ends: Iterable[tuple[int, int]]
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """Yield `read_imputations` of the windows of each range of `ends`, both included."""
    schema = imputations(_n_samples(path))
    yield from map(_with_matrix, _ranges(path, schema, "window", ends, None, {}))


def n_targets(path: files.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """The windows (N,) of a table of imputed targets, ascending, and how many targets each has."""
    schema = imputations(_n_samples(path))
    parts = [np.unique(rows["window"], return_counts=True) for rows in batches(path, schema, ["window"])]
    windows, counts = map(np.concatenate, zip(*parts, strict=True)) if parts else (np.zeros(0, int), np.zeros(0, int))
    firsts = np.flatnonzero(np.diff(windows, prepend=-1))  # a window may go on in the next part
    return windows[firsts], np.add.reduceat(counts, firsts) if len(firsts) else counts


def join(paths: Sequence[files.PathLike], path: files.PathLike) -> None:
    """Write the rows of tables with the same columns below each other, a row group at a time in memory."""
    stored = _stored_schema(paths[0])
    schema = imputations(_n_samples(paths[0])) if "samples" in stored.names else pa.schema(list(stored))
    with writing(path, schema) as write_part:
        for part in paths:
            for rows in _batches(part):
                write_part(pa.table(rows))


def join_by(
    paths: Sequence[files.PathLike], path: files.PathLike, schema: pa.Schema, order: Iterable[Mapping[str, str]]
) -> None:
    """Write the rows of tables with the same columns below each other, sorted by the values that `order` lists.

    Rows of equal values stay in the order of the tables. Those of one table and one entry of `order` are in memory.

    Raises:
        InputError: a table that cannot be read or has other columns, or a disk that cannot be written.
    """
    for part in paths:
        _check(part, schema)
    with writing(path, schema) as write_part:
        for values in order:
            for part in paths:
                with _readable(part), _opened(part) as stream:
                    rows = _filtered(stream, *_with_values(stream, values))
                write_part(rows)


def _table(frame, schema):
    if isinstance(frame, pa.Table):
        return frame.cast(schema)
    columns = [frame[field.name] for field in schema]
    # pandas gives empty columns the dtype object; let Arrow take the schema's type
    arrays = [pa.array(column if len(column) else [], kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)


def _read(path, schema, columns, filters):
    _check(path, schema)
    with _readable(path):
        return pq.read_table(path, columns=columns, filters=filters, page_checksum_verification=True)


def _ranges(path, schema, column, ends, columns, values):
    """`ranges` as Arrow tables."""
    _check(path, schema)
    with _readable(path), _opened(path) as stream:
        least, most = _bounds(stream, column).T
        groups, condition = _with_values(stream, values)
        names = None if columns is None else [*columns, column, *values]
        for first, last in ends:
            inside = (pc.field(column) >= first) & (pc.field(column) <= last)
            rows = _filtered(stream, groups & (most >= first) & (least <= last), condition & inside, names)
            yield rows if columns is None else rows.select(list(columns))


def _batches(path, columns=None):
    """`batches` as Arrow's; what fails while one is used is no fault of the file."""
    with _readable(path), _opened(path) as stream:
        yield from stream.iter_batches(ROW_GROUP, columns=columns)


def _with_values(stream, values):
    """Which row groups (G,) may have rows whose columns have these values, and the condition that they have."""
    groups, condition = np.ones(stream.metadata.num_row_groups, bool), pc.scalar(True)
    for name, value in values.items():
        groups &= np.fromiter((least <= value <= most for least, most in _bounds(stream, name)), bool, len(groups))
        condition &= pc.field(name) == value
    return groups, condition


def _filtered(stream, groups, condition, columns=None):
    """The rows that fulfil a condition, of some row groups (G,), boolean, of which one at a time is in memory."""
    chosen = np.flatnonzero(groups).tolist()
    parts = [stream.read_row_groups([group], columns=columns).filter(condition) for group in chosen]
    empty = stream.read_row_groups([], columns=columns)
    return pa.concat_tables([empty, *parts]).unify_dictionaries()


def _opened(path):
    """The Parquet file, of which no more is in memory than what was asked for: buffered ahead it would be all of it."""
    return pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)


def _bounds(stream, column):
    """Least and greatest value of a column in each row group, (G, 2), from the statistics in the file."""
    index = stream.schema_arrow.get_field_index(column)
    parts = (stream.metadata.row_group(i).column(index).statistics for i in range(stream.metadata.num_row_groups))
    return np.array([(part.min, part.max) for part in parts]).reshape(-1, 2)


def _with_matrix(table):
    """The columns of imputed targets, and their samples (S, M)."""
    samples = table["samples"].combine_chunks()
    matrix = samples.flatten().to_numpy().reshape(len(table), samples.type.list_size)
    return table.drop_columns("samples").to_pandas(), matrix.T


def _check(path, schema):
    """Raise InputError unless the file's columns are those of `schema`."""
    stored = _stored_schema(path)
    schema = _with_more(schema, stored.names)
    if stored.names != schema.names:
        raise InputError(f"{path}: columns are {', '.join(stored.names)}; expected {', '.join(schema.names)}")
    for name in schema.names:
        if stored.field(name).type != schema.field(name).type:
            raise InputError(f"{path}: '{name}' is {stored.field(name).type}; expected {schema.field(name).type}")


def _n_samples(path):
    """The length of the lists in the column `samples`; 1 where there is no such column."""
    stored = _stored_schema(path)
    field = stored.field("samples") if "samples" in stored.names else None
    return field.type.list_size if field is not None and pa.types.is_fixed_size_list(field.type) else 1


def _with_more(schema, names):
    """The schema with the columns that a table of its kind may have besides, as far as they are among `names`."""
    if schema in OF_SERIES and "series" in names:
        return of_several(schema)
    if schema == WINDOWS and "profile" in names:  # what is subtracted from values
        return pa.schema([*schema, ("profile", pa.float64())])
    if schema == STATISTICS and "transform" in names:  # of values, before z-scores are taken
        return pa.schema([*schema, *TRANSFORMED])
    return schema


def _stored_schema(path):
    with _readable(path):
        return pq.read_schema(path)


@contextlib.contextmanager
def _readable(path):
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        if "CRC checksum" in reason:
            raise InputError(files.DAMAGED.format(path=path)) from error
        raise InputError(f"{path}: cannot be read as Parquet ({reason}); delete it and rerun") from error
