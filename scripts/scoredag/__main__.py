"""The command `scoredag`: what is done with a run's results without a workflow."""

import argparse
import logging
import sys

import yaml

from scoredag.errors import InputError, UserFacingError


def main(words: list[str] | None = None) -> None:
    """Do what `words`, else the command line, say; bad input ends in one line and with status 1."""
    parser = argparse.ArgumentParser(prog="scoredag", description="What is done with results without a workflow.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "apply",
        help="fill the gaps of new data by a run that has filled its own",
        description="Fill the gaps of new data by a run that has filled its own, without training.",
    )
    command.add_argument("model", help="results/csdi/RUN/model.safetensors, as it lies beside the run's other files")
    command.add_argument("files", nargs="+", metavar="FILE", help="new data, in the form of the run's")
    command.add_argument("--output", required=True, metavar="FOLDER", help="gets imputed.parquet and imputed.csv")
    command.add_argument("--level", type=float, help="of the intervals, between 0 and 1; the run's if it is not given")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a key of a dataset where the file is written otherwise than the run's, as --set time=when",
    )
    options = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if options.level is not None and not 0 < options.level < 1:
            raise InputError(f"--level {options.level:g}: is not between 0 and 1; write 0.9")
        from scoredag import applying  # takes seconds, which the help need not

        applying.apply(options.model, options.files, options.output, _keys(options.set), options.level)
    except UserFacingError as error:
        sys.exit(f"error: {error}")


def _keys(words):
    """{key: value} from words KEY=VALUE, values as YAML."""
    for word in words:
        if "=" not in word:
            raise InputError(f"--set {word}: has no value; write {word}=VALUE")
    pairs = dict(word.partition("=")[::2] for word in words)
    try:
        return {key: yaml.safe_load(value) for key, value in pairs.items()}
    except yaml.YAMLError as error:
        raise InputError(f"--set {' '.join(words)}: no YAML ({' '.join(str(error).split())})") from error


if __name__ == "__main__":
    main()
