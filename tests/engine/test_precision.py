"""Mixed precision, kernels and compilation: what a flag promises is what is computed."""

import math
import multiprocessing

import pytest
import torch

from src.artifact.network import load_checkpoint
from src.core.config import Config, Run
from src.core.errors import UserError
from src.datasets.load import load_table
from src.engine.checks import check_settings
from src.engine.distributed import Processes
from src.engine.loop import Position, StepSettings, Trainer
from src.engine.parts import make_parts
from src.engine.precision import autocast_dtype, check_device, peak_gb, pick_device, set_kernels
from src.engine.run import train

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def make(tiny_settings):
    """The parts of a run with these settings besides the tiny ones."""

    def make(**settings):
        cfg = Config().with_settings(**{**tiny_settings, **settings})
        return make_parts(cfg, check_settings(cfg), load_table(cfg.data), CPU)

    return make


def test_loading_processes_start_before_there_is_a_model_to_copy(make, monkeypatch):
    n_before = len(multiprocessing.active_children())

    def stop(*_):
        raise InterruptedError(str(len(multiprocessing.active_children()) - n_before))

    monkeypatch.setattr("src.engine.parts.make_classifier", stop)
    with pytest.raises(InterruptedError, match="2"):  # one for training, one for validation
        make(num_workers=1)


def types_computed_in(parts) -> set:
    """The types of what the backbone gives to the head over an epoch."""
    seen = set()
    parts.trainer.classifier.head.register_forward_hook(
        lambda _, given, logits: seen.add(logits.dtype)
    )
    for _ in parts.trainer.epoch(parts.loader, Position(), []):
        pass
    return seen


@pytest.mark.parametrize(("use_amp", "dtype"), [(False, torch.float32), (True, torch.bfloat16)])
def test_steps_compute_in_the_type_that_is_asked_for(make, use_amp, dtype):
    parts = make(use_amp=use_amp)
    assert types_computed_in(parts) == {dtype}
    trained = parts.trainer.classifier.state_dict().values()
    assert {tensor.dtype for tensor in trained if tensor.is_floating_point()} == {torch.float32}


def test_evaluating_is_in_full_precision(make):
    parts = make(use_amp=True)
    seen = set()
    parts.network.classifier.head.register_forward_hook(
        lambda _, given, logits: seen.add(logits.dtype)
    )
    _, metrics = parts.evaluator(parts.evaluated_network(), "valid")
    assert seen == {torch.float32}
    assert math.isfinite(metrics["loss"])


@pytest.mark.parametrize(
    ("settings", "device", "dtype"),
    [
        ({}, CPU, None),
        ({"amp_dtype": "bfloat16"}, CPU, None),
        ({"use_amp": True}, CPU, torch.bfloat16),
        ({"use_amp": True}, GPU, torch.float16),
        ({"use_amp": True, "amp_dtype": "float16"}, GPU, torch.float16),
    ],
)
def test_the_type_of_mixed_precision(settings, device, dtype):
    assert autocast_dtype(Run(**settings), device) == dtype


def test_small_gradients_of_float16_are_scaled():
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters())
    for dtype in (torch.float16, torch.bfloat16, None):
        settings = StepSettings(1, 1, None, float, float, autocast_dtype=dtype)
        scaler = Trainer(model, model, optimizer, settings, CPU).scaler
        assert scaler.is_enabled() == (dtype == torch.float16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_amp": True, "amp_dtype": "float16"}, "--amp_dtype float16: expected a GPU"),
        ({"sync_bn": True}, "--sync_bn: expected NVIDIA GPUs"),
    ],
)
def test_what_a_cpu_cannot_do_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        check_device(Config().with_settings(**settings), CPU)


def test_compiling_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setattr("src.engine.precision.shutil.which", lambda name: None)
    with pytest.raises(UserError, match=r"--compile: no C\+\+ compiler"):
        check_device(Config().with_settings(compile=True), CPU)


@pytest.fixture
def kernels():
    """Settings of the whole process are as before when the test ends."""
    yield
    set_kernels(Run())


@pytest.mark.parametrize("name", ["deterministic", "fast_mode", "tf32"])
def test_kernels_are_those_asked_for(kernels, monkeypatch, name):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    set_kernels(Run(**{name: True}))
    assert torch.are_deterministic_algorithms_enabled() == (name == "deterministic")
    assert torch.backends.cudnn.deterministic == (name == "deterministic")
    assert torch.backends.cudnn.benchmark == (name == "fast_mode")
    assert torch.backends.cudnn.allow_tf32 == (name == "tf32")
    assert torch.backends.cuda.matmul.allow_tf32 == (name == "tf32")


def test_deterministic_training_runs(kernels, tiny_settings, tmp_path):
    settings = {**tiny_settings, "epochs": 1, "deterministic": True, "use_amp": True}
    folder = train(Config().with_settings(**settings, output_dir=str(tmp_path)))
    assert load_checkpoint(folder / "best_checkpoint.pth")["epoch"] == 0


def test_compiled_steps_are_those_of_the_model(make, monkeypatch):
    """With a backend that runs the captured graph as it is: a real one takes minutes."""
    compiled, real = [], torch.compile

    def capture(model):
        compiled.append(model)
        return real(model, backend="eager")

    plain = make(epochs=1)
    for _ in plain.trainer.epoch(plain.loader, Position(), []):
        pass
    monkeypatch.setattr(torch, "compile", capture)
    parts = make(epochs=1, compile=True)
    for _ in parts.trainer.epoch(parts.loader, Position(), []):
        pass
    assert compiled == [parts.trainer.classifier]
    one, other = (p.trainer.classifier.state_dict() for p in (plain, parts))
    assert one.keys() == other.keys()
    for key, value in one.items():
        torch.testing.assert_close(other[key], value, rtol=1e-4, atol=1e-5)


def test_the_device_is_the_fastest_that_is_there(monkeypatch):
    two = Processes(rank=0, count=2, local_rank=0)
    for has_cuda, has_mps, asked, processes, expected in (
        (True, True, "auto", None, "cuda"),
        (False, True, "auto", None, "mps"),
        (False, False, "auto", None, "cpu"),
        (False, True, "auto", two, "cpu"),
        (True, True, "mps", None, "mps"),
        (True, True, "cpu", None, "cpu"),
        (False, False, "mps", None, "--device mps: no Apple GPU found"),
        (False, True, "mps", two, "--device mps: several processes"),
        (False, True, "cuda", None, "--device cuda: 0 GPUs found"),
        (True, True, "tpu", None, "expected auto, cpu, mps, cuda"),
    ):
        monkeypatch.setattr(torch.cuda, "device_count", lambda there=has_cuda: int(there))
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=has_cuda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=has_mps: there)
        given = (asked, processes) if processes else (asked,)
        if expected.isalpha():
            assert pick_device(*given).type == expected
        else:
            with pytest.raises(UserError, match=expected):
                pick_device(*given)
    mps = torch.device("mps")
    assert autocast_dtype(Run(use_amp=True), mps) == torch.float16
    with pytest.raises(UserError, match="--sync_bn"):
        check_device(Config().with_settings(sync_bn=True), mps)


def test_memory_is_told_in_gigabytes():
    """That of this process, which has loaded torch and less than any machine has."""
    assert 0.05 < peak_gb(CPU) < 1000
