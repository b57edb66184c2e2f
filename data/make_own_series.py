"""Write data/own-series.csv: half a year of one station of data/nyc-weather.csv, as a person might have it.

    python data/make_own_series.py [--output data/own-series.csv]

LaGuardia, July to December 2013: times of New York without a zone, one column a quantity, empty cells and
absent hours where the station has none. Nothing is added or filled.
"""

import argparse
from pathlib import Path

import pandas as pd

SOURCE = Path(__file__).with_name("nyc-weather.csv")
COLUMNS = ["temp", "dewp", "humid", "pressure", "wind_dir", "wind_speed"]


def extract(weather):
    """Half a year of one station as a data frame with the column `when`, local time."""
    weather = weather[weather["origin"] == "LGA"]
    when = pd.to_datetime(weather["time_hour"]).dt.tz_convert("America/New_York").dt.tz_localize(None)
    return weather[COLUMNS].set_index(when.rename("when")).loc["2013-07":]


def main():
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="data/own-series.csv")
    table = extract(pd.read_csv(SOURCE)).round(2)  # miles per hour come from knots, with 14 digits
    table["wind_dir"] = table["wind_dir"].astype("Int64")
    table.to_csv(parser.parse_args().output, date_format="%Y-%m-%d %H:%M", lineterminator="\n")


if __name__ == "__main__":
    main()
