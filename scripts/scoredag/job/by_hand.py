"""One job without Snakemake around it, as for a debugger: log and tracebacks on the terminal.

python scripts/plot_scatter.py results/langevin/b/scatter.png [--configfile FILE ..] [--directory FOLDER]
python scripts/plot_scatter.py parameters_path=.. samples_path=.. figure_path=.. settings='{..}'
"""

import argparse
import contextlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scoredag.errors import InputError, UserFacingError
from scoredag.job import arguments, record, sources
from scoredag.store import stamp


def run(function: Callable[..., None], script: Path, words: list[str] | None = None) -> None:
    """Call the function with the arguments that `words`, else the command line, name; bad input ends in one line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    words = sys.argv[1:] if words is None else words
    try:
        if not words:
            raise InputError(
                f"name a file that the rule makes: python {script.name} FILE; or its arguments, as NAME=VALUE"
            )
        if all("=" in word for word in words):
            function(**_named(function, words))
            return
        with _planned(script, words) as job:
            missing = [path for path in job.input if not os.path.exists(path)]
            if missing:
                raise InputError(f"{missing[0]}: is not there yet; make it first: snakemake --cores 8 {missing[0]}")
            with stamp.job(record=record.build(job, script, sources.digester()(script))):
                function(**arguments.by_name(function, job))
    except UserFacingError as error:
        sys.exit(f"error: {error}")


def _named(function, words):
    """Arguments from words `name=value`: paths as they are, other values as YAML."""
    import yaml

    pairs = dict(word.split("=", 1) for word in words)
    parameters = inspect.signature(function).parameters
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    wrong = [name for name in pairs if name not in parameters] or [name for name in needed if name not in pairs]
    if wrong:
        usage = " ".join(f"{name}=.." for name in parameters)
        raise InputError(f"'{wrong[0]}' is {'missing' if wrong[0] in needed else 'unknown'}; write {usage}")
    try:
        return {name: value if name.endswith("_path") else yaml.safe_load(value) for name, value in pairs.items()}
    except yaml.YAMLError as error:
        raise InputError(f"a value is no YAML: {' '.join(str(error).split())}") from error


@contextlib.contextmanager
def _planned(script: Path, words: list[str]) -> Iterator[Any]:
    """The job that Snakemake plans for a file, within the working directory that it has."""
    parser = argparse.ArgumentParser(description=f"Run one job of {script.name}.", epilog=__doc__.split("\n\n")[1],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("file", help="a file that the rule makes")
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="as Snakemake's")
    parser.add_argument("--directory", type=Path, help="as Snakemake's")
    options = parser.parse_args(words)

    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import RuleException, WorkflowError
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    configfiles = [path.resolve() for path in options.configfile]
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL}, log_handler_settings={})) as api:
        logging.disable(logging.CRITICAL)  # what Snakemake says while it plans
        try:
            workflow_api = api.workflow(
                resource_settings=ResourceSettings(cores=os.cpu_count() or 1),
                config_settings=ConfigSettings(configfiles=configfiles),
                snakefile=script.parents[1] / "Snakefile",
                workdir=options.directory,
            )
            workflow_api.dag(DAGSettings(targets={options.file}))
            workflow = workflow_api._workflow  # the job is not part of Snakemake's public face
            workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
            workflow._build_dag()
        except (WorkflowError, RuleException, OSError) as error:
            raise InputError(str(error).strip().splitlines()[0]) from error
        finally:
            logging.disable(logging.NOTSET)
        job = next((job for job in workflow.dag.jobs if options.file in job.output), None)
        if job is None or Path(job.rule.script).stem != script.stem:
            maker = Path(job.rule.script).name if job else "no script"
            raise InputError(f"{options.file}: is made by {maker}, not by {script.name}")
        yield job
