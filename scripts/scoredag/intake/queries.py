"""What a query of DuckDB's SQL makes of files, as a table; nothing else can be read, and nothing is installed."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from scoredag.errors import InputError
from scoredag.intake import delimited, extras, workbooks

PathLike = str | os.PathLike[str]
JSON = (".json", ".jsonl", ".ndjson", ".json.gz")
FUNCTIONS = {  # of DuckDB, by the ending of a file
    **dict.fromkeys((".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"), "read_csv"),
    **dict.fromkeys(JSON, "read_json"),
    **dict.fromkeys((".parquet", ".pq"), "read_parquet"),
}
DATABASES = (".db", ".sqlite", ".sqlite3")
SETTINGS = {
    # sums in the same order, and random() the same draws, from run to run
    "threads": 1,
    "TimeZone": "UTC",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # no variable of this program is a table
}


def read(paths: Sequence[PathLike], query: str) -> pd.DataFrame:
    """The result of a query; the index is the row, from 1.

    A file is a table by its name without folder and ending (of an Excel file the first sheet with cells;
    others are "{name}.{sheet}"); of an SQLite database each table is one by its own name.

    Args:
        paths: of the files: .csv, .tsv, .txt, .json, .jsonl, .parquet, Excel's, or SQLite's (.db, .sqlite).
        query: in DuckDB's SQL.

    Raises:
        InputError: a file of another kind, two tables of one name, a fault of the query, or DuckDB is not installed.
    """
    duckdb = extras.load("query", "duckdb")
    with duckdb.connect(":memory:", config={"allow_unsigned_extensions": "false"}) as connection:
        try:
            names = _open(connection, paths)
            connection.execute("SELECT setseed(0)").fetchall()
            result = connection.sql(query)
            if result is None:
                raise InputError("query: gives no table; write a SELECT")
            content = delimited.simplified(result.to_arrow_table())
        except duckdb.Error as error:
            fault = " ".join(str(error).split("\n\n")[0].split())
            raise InputError(f"query: {fault}; its tables are {', '.join(names)}") from error
    return delimited.of_arrow("query", content, range(1, len(content) + 1), "row")


def _open(connection: Any, paths: Sequence[PathLike]) -> list[str]:
    """Make tables of files, then shut everything else off; names of the tables."""
    tables: dict[str, str | pd.DataFrame] = {}
    for path in map(str, paths):
        for name, table in _tables(path).items():
            if name.lower() in map(str.lower, tables):  # to SQL they are the same
                raise InputError(f"{path}: there are two tables '{name}'; rename the file or the table")
            tables[name] = table
    for name, value in SETTINGS.items():
        connection.execute(f"SET {name} = {value!r}" if isinstance(value, str) else f"SET {name} = {value}")
    connection.execute(f"SET allowed_paths = [{', '.join(_literal(str(path)) for path in paths)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    for name, table in tables.items():
        if isinstance(table, str):
            connection.execute(f"CREATE VIEW {_identifier(name)} AS SELECT * FROM {table}")
        else:
            connection.register(name, table)
    return list(tables)


def _tables(path):
    """{name: expression of SQL, or data frame} of one file."""
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file")
    name, stem = Path(path).name.lower(), delimited.stem(path)
    function = next((function for ending, function in FUNCTIONS.items() if name.endswith(ending)), None)
    if function:
        return {stem: f"{function}({_literal(str(path))})"}
    if name.endswith(workbooks.SUFFIXES):
        first, *others = workbooks.read_all(path).items()
        return {stem: first[1]} | {f"{stem}.{sheet}": table for sheet, table in others}
    if name.endswith(DATABASES):
        return _of_database(path)
    endings = ", ".join([*FUNCTIONS, *workbooks.SUFFIXES, *DATABASES])
    raise InputError(f"{path}: a query reads files that end in {endings}; rename it, or save it as one of these")


def _of_database(path):
    try:
        with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
            return {name: pd.read_sql_query(f"SELECT * FROM {_identifier(name)}", database) for (name,) in found}
    except (sqlite3.Error, pd.errors.DatabaseError) as error:
        raise InputError(f"{path}: cannot be read as an SQLite database ({error})") from error


def _literal(text):
    return "'" + text.replace("'", "''") + "'"


def _identifier(name):
    return '"' + name.replace('"', '""') + '"'
