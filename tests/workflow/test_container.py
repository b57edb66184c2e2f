"""The images: what they hold is enough, both definitions agree, and jobs run in the one that the config names."""

import os
import re
import shutil
import subprocess
import sys

import plans
import pytest

TABLE = "results/gmm/parameters.parquet"
# it runs the command that is meant for the image, and notes the image
APPTAINER = """#!/bin/sh
[ "$1" = --version ] && echo "apptainer version 1.3.6" && exit
until [ "$1" = mine.sif ]; do shift; done
echo "$1" >> images.log
shift
exec "$@"
"""


def entries(root):
    """What the image for Docker holds of the project, by .dockerignore."""
    lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    return {line[1:] for line in lines if line.startswith("!")}


def test_what_the_images_hold_is_enough_to_plan_everything(root, tmp_path):
    for name in entries(root):
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        copy(root / name, tmp_path / name)
    (tmp_path / "work").mkdir()
    own, images = plans.plan(root, tmp_path / "work"), plans.plan(tmp_path, tmp_path / "work")
    assert set(own.traces) == set(images.traces)


def test_both_definitions_are_of_the_same_files_python_and_commands(root):
    docker, apptainer, conda = (
        (root / name).read_text(encoding="utf-8") for name in ("Dockerfile", "scoredag.def", "envs/scoredag.yaml")
    )
    assert set(re.findall(r"^    (\S+) /opt/scoredag/$", apptainer, re.MULTILINE)) == entries(root)
    (image,) = re.findall(r"^FROM python:(\S+)$", docker, re.MULTILINE)
    assert re.findall(r"^From: python:(\S+)$", apptainer, re.MULTILINE) == [image]
    assert f"python={image.rpartition('.')[0]}\n" in conda
    commands = [re.findall(r"pip install .*?(?= \\\n|\n)", text) for text in (docker, apptainer)]
    assert commands[0] == commands[1] and len(commands[0]) == 3


def test_jobs_run_in_the_image_only_where_snakemake_is_told_so(project, tmp_path):
    (project.folder / "mine.sif").touch()
    (project.folder / "mine.yaml").write_text("container: mine.sif", encoding="utf-8")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/apptainer").write_text(APPTAINER, encoding="utf-8")
    (tmp_path / "bin/apptainer").chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "bin"), os.path.dirname(sys.executable), os.environ["PATH"]])
    found = []
    for options in ([], ["--sdm", "apptainer"]):
        done = project.snakemake(TABLE, *options, configfiles=["mine.yaml"], PATH=path)
        assert done.returncode == 0, done.stdout
        log = project.folder / "images.log"
        found.append((log.read_text(encoding="utf-8").splitlines() if log.exists() else [], project.sums()))
    (without, sums), (within, again) = found
    assert without == [] and within == ["mine.sif"] and again == sums


@pytest.mark.parametrize("image", ["none.sif", "$NOWHERE_AT_ALL/a.sif"])
def test_an_image_that_is_not_there_is_refused(root, tmp_path, image):
    (tmp_path / "mine.yaml").write_text(f"container: {image}", encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--snakefile", root / "Snakefile"]
    command += ["--directory", tmp_path, "--configfile", tmp_path / "mine.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("scoredag: config: container: ")
