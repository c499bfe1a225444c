"""What a job runs: a copy of the code, started again until it is done; and why jobs failed."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import submitit

from src.cluster.job import TrainingJob, _signals_of_the_end
from src.cluster.options import Cluster
from src.cluster.submit import PACKAGE, make_executor, snapshot, wait_for
from src.core.config import Config
from src.core.errors import UserError

# the copy of the code


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    for name in ("src/core/part.py", "src/table.json", "src/__pycache__/part.pyc"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "data").mkdir()
    (root / "data" / "image.py").write_text("")
    return root


def test_a_copy_is_the_code_as_it_was(checkout, tmp_path):
    copy = snapshot(tmp_path / "code", checkout / "src")
    assert snapshot(tmp_path / "code", checkout / "src") == copy
    (checkout / "src" / "core" / "part.py").write_text("later")
    assert (copy / "src" / "core" / "part.py").read_text() == "src/core/part.py"
    files = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert files == {"COMMIT", "src/core/part.py", "src/table.json"}
    later = snapshot(tmp_path / "code", checkout / "src")
    assert later != copy
    assert (later / "src" / "core" / "part.py").read_text() == "later"
    assert {path.name for path in (tmp_path / "code").iterdir()} == {copy.name, later.name}


def test_a_job_loads_no_torch_before_it_can_be_queued_again():
    program = "import sys, src.cluster.job; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=PACKAGE.parent).returncode == 0


@pytest.mark.slow
def test_a_job_runs_the_copy_in_the_submitters_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()  # a checkout of another state
    (tmp_path / "src" / "core.py").write_text("raise SystemError")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b,GPU-c")
    executor = make_executor(Cluster(cluster="local", ngpus=2, job_dir="jobs/%j"), "x")

    def tell():
        import src.core.config

        seen = submitit.helpers.TorchDistributedEnvironment().export(
            set_cuda_visible_devices=False, overwrite=True
        )
        assert int(os.environ["RANK"]) == seen.rank
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "CUDA_VISIBLE_DEVICES")
        return src.core.config.__file__, str(Path.cwd()), [os.environ[name] for name in names]

    results = executor.submit(tell).results()
    (code,) = Path(tmp_path, "jobs", "code").iterdir()
    for rank, (file, folder, variables) in enumerate(results):
        assert Path(file) == code / "src" / "core" / "config.py"
        assert folder == str(tmp_path)
        assert variables == [str(rank), str(rank), "2", "GPU-a,GPU-b"]


# failures


def finished_job(folder: Path, *results: tuple[str, str] | None) -> submitit.Job:
    """A job whose tasks have left these results, in this order; None: nothing."""
    job = submitit.LocalJob(folder, "7", tasks=range(len(results)))
    for task, result in enumerate(results):
        if result:
            path = job.task(task).paths.result_pickle
            path.write_bytes(pickle.dumps(result[:2]))
            os.utime(path, (result[2], result[2]))
    return job


def trace(message: str, when: int) -> tuple[str, str, int]:
    return "error", f'Traceback (most recent call last):\n  File "x", line 1\n{message}\n', when


LOST = "RuntimeError: Connection closed by peer [127.0.0.1]"
DONE = ("success", "", 5)


@pytest.mark.parametrize(
    ("results", "task", "reason"),
    [
        ((trace(LOST, 1), trace("ValueError: one\nline more", 2)), 1, "ValueError: one\nline more"),
        ((trace("ValueError: a", 2), trace("ValueError: b", 1)), 1, "ValueError: b"),
        ((DONE, trace("src.core.errors.UserError: no data", 1)), 1, "no data"),
        ((trace(LOST, 1), None), 1, "has not produced any output"),
        ((trace(LOST, 2), trace(LOST, 1)), 1, LOST),
        ((trace("", 1), DONE), 0, '  File "x", line 1'),
    ],
)
def test_the_root_of_a_failure_is_found_among_the_tasks(
    results, task, reason, tmp_path, monkeypatch
):
    monkeypatch.setattr(submitit.Job, "_results_timeout_s", 0)
    (failure,) = wait_for([finished_job(tmp_path, *results)])
    assert (failure.job_id, failure.task) == ("7", task)
    assert reason in failure.reason if results[-1] is None else failure.reason == reason
    assert str(failure).startswith(f"error: job 7, process {task}: ")
    assert str(failure).endswith(f"\nlog: {tmp_path}/7_{task}_log.err")


def test_jobs_that_succeeded_have_no_failure(tmp_path):
    assert wait_for([finished_job(tmp_path, DONE, DONE)]) == []
    assert wait_for([]) == []


# starting again


def test_a_job_is_queued_again_as_it_is():
    job = TrainingJob(Config())
    again = job.checkpoint()
    assert (again.function, again.args, again.kwargs) == (job, (), {})


@pytest.fixture
def handlers():
    """Signals that stand-ins of submitit's handlers have seen, in this process or a child."""
    seen = []
    numbers = (signal.SIGUSR2, signal.SIGTERM)
    before = [
        signal.signal(number, lambda number, frame: seen.append(number)) for number in numbers
    ]
    yield seen
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_data_loading_processes_do_not_queue_a_job_again(number, handlers):
    told = _signals_of_the_end()
    if not (child := os.fork()):
        os.kill(os.getpid(), number)
        os._exit(len(handlers) + len(told))
    assert os.waitpid(child, 0)[1] == 0
    assert (handlers, told) == ([], [])
    os.kill(os.getpid(), number)
    assert (handlers, told) == ([number], [number])


@pytest.mark.parametrize(
    ("raised", "signals", "slept"),
    [
        (RuntimeError("worker killed"), [], []),
        (RuntimeError("worker killed"), [signal.SIGTERM], [600]),
        (UserError("a process is gone"), [signal.SIGUSR2], [600]),
        (UserError("no data"), [], []),
        (SystemExit(2), [], [5]),
        (SystemExit(-1), [signal.SIGUSR2], []),
        (submitit.core.utils.UncompletedJobError("timed-out too often"), [signal.SIGUSR2], []),
    ],
)
def test_a_job_leaves_an_error_only_where_it_is_the_cause(
    raised, signals, slept, handlers, tmp_path, monkeypatch
):
    def train(cfg):
        for number in signals:
            os.kill(os.getpid(), number)
        raise raised

    naps = []
    monkeypatch.setattr("src.engine.run.train", train)
    monkeypatch.setattr("time.sleep", naps.append)
    monkeypatch.setattr(sys, "tracebacklimit", 1000, raising=False)
    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
    monkeypatch.setenv("SUBMITIT_LOCAL_JOB_ID", "7")
    monkeypatch.setenv("SUBMITIT_FOLDER", str(tmp_path))
    (tmp_path / "7_0_result.pkl").write_text("of an earlier attempt")
    with pytest.raises(type(raised)):
        TrainingJob(Config())()
    assert naps == slept
    assert sys.tracebacklimit == (0 if isinstance(raised, UserError) else 1000)
    assert not (tmp_path / "7_0_result.pkl").exists()
