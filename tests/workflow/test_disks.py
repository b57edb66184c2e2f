"""Where nothing can be written: one clear line, and once there is room the next run makes up for it."""

import re
import subprocess

import pytest

pytestmark = pytest.mark.slow

TARGETS = ("results/gmm/exact.parquet", "results/gmm/density.png")


@pytest.fixture
def disk(project):
    """A small disk under results/, and a function that mounts it anew with other options."""
    folder = project.folder / "results"
    folder.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if not mount("size=64k"):
        pytest.skip("mounting a disk is not allowed here")
    yield lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", folder], check=True)


def complaints(done):
    assert done.returncode != 0 and "Traceback" not in done.stdout, done.stdout
    return re.findall(r"^error: .*", done.stdout, re.MULTILINE)


def test_a_full_disk_is_told_and_room_is_enough_to_go_on(project, disk):
    lines = complaints(project.snakemake(*TARGETS))
    assert len(lines) == 1
    assert re.fullmatch(r"error: results/gmm/\w+\.\w+: cannot be written \(No space left on device\)", lines[0])
    assert not list(project.folder.glob("results/**/.*"))
    assert disk("size=64m")
    done = project.snakemake(*TARGETS)
    assert done.returncode == 0, done.stdout
    assert "Nothing to be done" in project.snakemake(*TARGETS).stdout


def test_a_read_only_disk_is_told_before_an_old_result_is_removed(project, disk):
    done = project.snakemake(TARGETS[0])
    assert done.returncode == 0, done.stdout
    assert disk("ro")
    assert "Nothing to be done" in project.snakemake(TARGETS[0]).stdout
    (line,) = complaints(project.snakemake(TARGETS[1]))
    assert line.startswith("error: results: cannot be written (a read-only disk")
    done = project.snakemake(TARGETS[0], "--forcerun", "draw_exact")  # Snakemake's own words
    assert (
        done.returncode != 0
        and f"Write-protected output files for rule draw_exact:\n    output: {TARGETS[0]}" in done.stdout
    )
    assert (project.folder / TARGETS[0]).exists()
    assert disk("rw")
    done = project.snakemake(TARGETS[0], "--forcerun", "draw_exact")
    assert done.returncode == 0, done.stdout


def test_a_folder_of_logs_that_cannot_be_written_is_told(project, disk):
    (project.folder / "logs").symlink_to(project.folder / "results", target_is_directory=True)
    assert disk("ro")
    (line,) = complaints(project.snakemake(TARGETS[0]))
    assert line.startswith("error: results: cannot be written")
