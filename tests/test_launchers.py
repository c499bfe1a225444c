"""train.sh and test.sh start as many processes as the machine, or NPROC, says."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = str(ROOT / "melanoma_train.py")
# stands in for Python: knows a number of GPUs, and tells how it is called
STAND_IN = """#!/bin/bash
if [ "$1" = -c ]; then echo "$GPUS"; exit; fi
printf '%s\\n' "$@"
exit 7
"""
FLAGS = ["--run_name", "two words", "--objective", "focal(gamma=1.5)", ""]


@pytest.fixture
def launch(tmp_path):
    """Calls a launcher from another folder, with a stand-in for Python."""
    python = tmp_path / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)

    def call(script="train.sh", gpus=1, **variables):
        return subprocess.run(
            [ROOT / script, *FLAGS],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHON": str(python), "GPUS": str(gpus), **variables},
            capture_output=True,
            text=True,
        )

    return call


def words(done) -> list[str]:
    assert done.returncode == 7, done.stderr  # of the program itself
    return done.stdout.split("\n")[:-1]


def torchrun(n: int) -> list[str]:
    return ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}", "--"]


@pytest.mark.parametrize(
    ("gpus", "nproc", "processes"),
    [(1, None, 1), (2, None, 2), (8, None, 8), (8, "1", 1), (1, "2", 2), (8, "3", 3), (4, "", 4)],
)
def test_processes_are_those_of_the_gpus_or_of_nproc(launch, gpus, nproc, processes):
    variables = {} if nproc is None else {"NPROC": nproc}
    started = [] if processes == 1 else torchrun(processes)
    assert words(launch(gpus=gpus, **variables)) == [*started, PROGRAM, *FLAGS]


@pytest.mark.parametrize(("gpus", "started"), [(1, []), (2, torchrun(2))])
def test_evaluating_is_started_in_the_same_way(launch, gpus, started):
    assert words(launch("test.sh", gpus=gpus)) == [*started, PROGRAM, "--test", *FLAGS]


@pytest.mark.parametrize("nproc", ["two", "0", "-1", "1.5", " 2"])
def test_another_nproc_is_refused_in_one_line(launch, nproc):
    done = launch(NPROC=nproc)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: NPROC={nproc}: expected a whole number, 1 or more\n"


def test_a_launcher_that_cannot_count_gpus_starts_nothing(launch, tmp_path):
    (tmp_path / "python").write_text("#!/bin/bash\necho no torch >&2\nexit 1\n")
    done = launch()
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "no torch\n")
