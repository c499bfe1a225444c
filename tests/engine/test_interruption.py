"""A run that is killed, stopped or whose files are damaged ends as if nothing had happened."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from src.artifact.network import load_checkpoint
from src.core.config import Config
from src.core.errors import UserError
from src.datasets.load import load_table
from src.engine.checkpoint import load_first, state_files
from src.engine.checks import check_settings
from src.engine.epochs import stop_requests
from src.engine.log import log_to_console
from src.engine.parts import make_parts
from src.engine.run import train
from tests.engine.processes import ROOT, finish, start

N_KILLS = 2


@pytest.fixture(scope="module")
def settings(tiny_settings):
    """Settings under which all that a state holds matters."""
    changes = {"epochs": 4, "batch_size": 16, "dropout": 0.3, "mixup": 0.4, "model_ema": True}
    changes |= {"model_ema_decay": 0.8, "objective": "group_dro(step=1.0)", "update_freq": 2}
    changes |= {"scheduler": "plateau(patience=0)", "save_ckpt_steps": 1, "keep_checkpoints": 2}
    return {**tiny_settings, **changes, "resume": "auto", "run_name": "r"}


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    """The folder of the run that nothing interrupted, trained in a process of its own."""
    output = tmp_path_factory.mktemp("whole")
    ((code, _, error),) = finish(start({**settings, "output_dir": str(output)}))
    assert code == 0, error
    return output / "r"


def history(folder):
    lines = json.loads((folder / "training_history.json").read_text())
    return [{k: v for k, v in line.items() if k not in ("seconds", "speed")} for line in lines]


def assert_same_run(folder, whole):
    for name in ("checkpoint_latest.pth", "best_checkpoint.pth"):
        one, other = (load_checkpoint(path / name) for path in (folder, whole))
        for part in ("model_state_dict", "training_state_dict", "objective_state_dict"):
            assert one[part].keys() == other[part].keys()
            assert all(torch.equal(one[part][key], other[part][key]) for key in one[part]), part
        assert one["epoch"] == other["epoch"]
    assert history(folder) == history(whole)
    assert (folder / "metrics.json").read_text() == (whole / "metrics.json").read_text()
    predictions = "predictions_test.csv"
    assert (folder / predictions).read_text() == (whole / predictions).read_text()
    kept = [sorted(path.name for path in run.glob("*.pth")) for run in (folder, whole)]
    assert kept[0] == kept[1]
    assert not list(folder.glob(".*.tmp"))


def test_a_run_killed_at_random_moments_ends_the_same(settings, whole, tmp_path):
    rng = random.Random(0)
    settings = {**settings, "output_dir": str(tmp_path)}
    kills = 0
    while True:
        (process,) = start(settings)
        if kills < N_KILLS:
            # after the first line of the training, at any moment of it
            for line in process.stdout:
                if line.startswith(("train ", "continuing")):
                    break
            time.sleep(rng.uniform(0, 1.5))
            process.send_signal(signal.SIGKILL)
        ((code, _, error),) = finish([process])
        if code == 0:
            break
        assert code == -signal.SIGKILL, error
        kills += 1
    assert kills >= 1
    assert_same_run(tmp_path / "r", whole)


@pytest.mark.parametrize(("number", "count"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_a_signal_saves_first_and_has_an_exit_code_of_its_own(
    settings, whole, tmp_path, number, count
):
    settings = {**settings, "output_dir": str(tmp_path), "save_ckpt_steps": 0, "num_workers": 1}
    # a run of one more epoch by name, so that the signal always comes in time
    processes = start({**settings, "epochs": 400}, count)
    for line in processes[0].stdout:
        if line.startswith("epoch 1/"):
            break
    processes[-1].send_signal(number)
    found = finish(processes)
    assert [code for code, _, _ in found] == [128 + number] * count, found
    assert f"stopped by signal {number:d} and saved" in found[0][1]
    assert "Traceback" not in "".join(error for _, _, error in found)
    content = load_checkpoint(tmp_path / "r" / "checkpoint_latest.pth")
    assert content["epoch"] >= 0
    assert content["position"]["n_processes"] == count


def test_a_run_stopped_within_an_epoch_goes_on_at_that_step(settings, whole, tmp_path, capsys):
    cfg = Config().with_settings(**{**settings, "output_dir": str(tmp_path)})
    steps = []

    def stop_at(history):
        steps.append(len(history))
        if len(history) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(cfg, after_epoch=stop_at)
    assert steps == [1, 2]
    folder = train(cfg)
    assert "continuing after 2 of 4 epochs" in capsys.readouterr().out
    assert_same_run(folder, whole)


def test_damaged_states_are_named_and_the_one_before_them_used(settings, whole, tmp_path, capsys):
    folder = tmp_path / "r"
    shutil.copytree(whole, folder)
    (folder / "checkpoint_epoch_3.pth").unlink()
    latest = folder / "checkpoint_latest.pth"
    content, state = latest.read_bytes(), load_checkpoint(latest)
    cfg = Config().with_settings(**{**settings, "output_dir": str(tmp_path)})
    parts = make_parts(cfg, check_settings(cfg), load_table(cfg.data), torch.device("cpu"))
    log_to_console(True)
    damages = {
        "foreign": {"weights": torch.ones(2)},
        "of another model": state | {"training_state_dict": {"weight": torch.ones(2)}},
        "other": b"no checkpoint at all",
        "empty": b"",
        "truncated": content[: len(content) // 2],
    }
    for damage, found in damages.items():
        latest.write_bytes(found) if isinstance(found, bytes) else torch.save(found, latest)
        assert load_first(state_files(cfg, folder), parts).position.epoch == 3, damage
        said = capsys.readouterr().out
        assert "checkpoint_latest.pth" in said, damage
        assert "trying the one before it" in said, damage
    train(cfg)  # on the last damage
    assert "continuing after 3 of 4 epochs" in capsys.readouterr().out
    assert_same_run(folder, whole)


def test_a_file_named_by_resume_is_the_one_continued(settings, whole, tmp_path, capsys):
    folder = tmp_path / "r"
    shutil.copytree(whole, folder)
    state = folder / "checkpoint_epoch_2.pth"
    cfg = Config().with_settings(**{**settings, "output_dir": str(tmp_path)})
    train(cfg.with_settings(resume=str(state)))
    assert "continuing after 3 of 4 epochs" in capsys.readouterr().out
    assert_same_run(folder, whole)
    state.write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"checkpoint_epoch_2\.pth"):
        train(cfg.with_settings(resume=str(state)))


def test_a_state_within_an_epoch_asks_for_as_many_processes(settings, whole, tmp_path):
    folder = tmp_path / "r"
    shutil.copytree(whole, folder)
    for path in folder.glob("*.pth"):
        content = load_checkpoint(path)
        content["position"] |= {"step": 1, "n_processes": 2}
        torch.save(content, path)
    with pytest.raises(UserError, match="stopped within an epoch by 2 processes"):
        train(Config().with_settings(**{**settings, "output_dir": str(tmp_path)}))


def test_signals_are_noted_once_and_given_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with stop_requests() as request:
        assert request.signal == 0
        signal.raise_signal(signal.SIGINT)
        assert request.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):  # the second one does not wait
            signal.raise_signal(signal.SIGINT)
    with stop_requests() as request:
        for _ in range(2):  # launchers send it twice
            signal.raise_signal(signal.SIGTERM)
        assert request.signal == signal.SIGTERM
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_signals_that_a_launcher_handles_stay_its_own():
    mine = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stop_requests() as request:
            signal.raise_signal(signal.SIGTERM)
            assert request.signal == 0
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, mine)


LEFT_OVER = """
import sys
from src.core.config import Config
from src.loading.loaders import eval_loader
from src.datasets.load import load_table
from src.preprocess.spec import parse_preprocessing

table = load_table(Config().with_settings(data_path=sys.argv[1]).data)
spec = parse_preprocessing("resize || normalize(stats='imagenet')", 32)
sys.left_over = iter(eval_loader(table, spec, 4, num_workers=1, pin_memory=False))
next(sys.left_over)
"""


def test_a_program_ends_although_loading_processes_are_left_over(demo):
    """They ignore the first moments of a SIGTERM, by which Python ends them."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT_OVER, str(demo / "isic2020")], cwd=ROOT, timeout=200
    )
    assert done.returncode == 0
