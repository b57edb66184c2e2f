"""Reader of the PhysioNet/Computing in Cardiology Challenge 2012: many short series, one a patient.

https://physionet.org/content/challenge-2012/1.0.0/. Prepared as in CSDI's code, whose official weights are for these
features in this order.
"""

import logging
import math
import os
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from scoredag.errors import InputError
from scoredag.intake import archives

log = logging.getLogger(__name__)

FEATURES = (
    "DiasABP", "HR", "Na", "Lactate", "NIDiasABP", "PaO2", "WBC", "pH", "Albumin", "ALT", "Glucose", "SaO2", "Temp",
    "AST", "Bilirubin", "HCO3", "BUN", "RespRate", "Mg", "HCT", "SysABP", "FiO2", "K", "GCS", "Cholesterol", "NISysABP",
    "TroponinT", "MAP", "TroponinI", "PaCO2", "Platelets", "Urine", "NIMAP", "Creatinine", "ALP",
)  # fmt: skip
HOURS = 48
HEADER = "Time,Parameter,Value"
ADMISSION = pd.Timestamp("2000-01-01", tz="UTC")  # stands for each patient's own, which the records do not tell
MAX_BYTES = 200_000_000  # set-a unpacks to 27 MB

_COLUMNS = {name: column for column, name in enumerate(FEATURES)}


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Wide hourly series of all patients, by record number: 48 hours x 35 features each, in the units of the source.

    Of several values within an hour the last one counts. Values from 48:00 on, other parameters (age, weight,
    ventilation) and records without any value are left out. Nothing is cleaned; a -1 stays what it is.

    Args:
        path: the archive, set-a.tar.gz, of one text file a patient: {record}.txt with lines of Time (hours:minutes
            since admission), Parameter, Value.

    Raises:
        InputError: no such archive, no record in it, or a record that is not as described; with the first bad line.
    """
    records = {}
    for name, content in archives.members(path, max_bytes=MAX_BYTES):
        record = PurePosixPath(name).stem
        if PurePosixPath(name).suffix != ".txt" or not record.isdecimal():
            log.info("%s: %s is no record, left out", path, name)
        elif record in records:
            raise InputError(f"{path}: {name}: the record {record} is there twice; remove one")
        else:
            records[record] = _hourly(f"{path}: {name}", content)
    empty = sorted(record for record, values in records.items() if np.isnan(values).all())
    if len(empty) == len(records):
        raise InputError(f"{path}: {len(records)} records hold no value; expected files as set-a/132539.txt")
    if empty:
        log.info("%s: %d of %d records have no value, left out: %s", path, len(empty), len(records), ", ".join(empty))
    names = sorted(records.keys() - set(empty))
    times = pd.date_range(ADMISSION, periods=HOURS, freq="1h")
    index = pd.MultiIndex.from_product([names, times], names=["series", "time"])
    wide = pd.DataFrame(np.concatenate([records[name] for name in names]), index, list(FEATURES))
    log.info("%s: %d series of %d hours x %d features", path, len(names), HOURS, len(FEATURES))
    log.info("%s: %.2f %% of the values are missing", path, 100 * wide.isna().to_numpy().mean())
    return wide


def _hourly(place, content):
    """The last value of each hour and feature of one record, (48, 35), NaN where there is none."""
    try:
        header, *lines = content.decode("utf-8").splitlines() or [""]
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: not UTF-8 text") from error
    if header != HEADER:
        raise InputError(f"{place}, line 1: '{header[:40]}' is not the header; expected {HEADER}")
    values = np.full((HOURS, len(FEATURES)), np.nan)
    for number, line in enumerate(lines, start=2):
        time, _, rest = line.partition(",")
        parameter, _, text = rest.partition(",")
        hours, _, minutes = time.partition(":")
        if not (hours.isdecimal() and minutes.isdecimal()):
            raise InputError(
                f"{place}, line {number}: '{line[:40]}' does not begin with a time; expected as 07:36,HR,80"
            )
        column, hour = _COLUMNS.get(parameter), int(hours)
        if column is not None and hour < HOURS:
            values[hour, column] = _number(text, place, number, parameter)
    return values


def _number(text, place, number, parameter):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{place}, line {number}: column 'Value': '{text[:40]}' of {parameter} is not a finite number")
    return value
