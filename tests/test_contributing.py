"""The examples of CONTRIBUTING.md, each executed in the file that its first line names."""

import importlib
from types import ModuleType

import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.datasets import clinical
from src.evaluation import metrics
from src.evaluation.predictions import from_columns
from src.evaluation.weighted import rows_of
from src.loading import sampler
from src.models import backbones, heads
from src.objectives import catalog
from src.preprocess import steps
from src.preprocess.spec import parse_preprocessing
from tests.datasets.small_isic import write_csv, write_image
from tests.documented import blocks
from tests.objectives.samples import build

EXAMPLES = blocks("CONTRIBUTING.md", language="python")


@pytest.fixture
def added():
    """A function that executes the example of a module in it, until the test ends."""
    registries = (heads.HEADS, catalog.OBJECTIVES, sampler.SAMPLERS, steps.STEPS)
    names = [registry._factories for registry in registries]
    places = [*names, metrics.METRICS, steps.TRAITS, backbones.TIMM_NAMES]
    before, known = [dict(place) for place in places], [*backbones.NAMED_BACKBONES]

    def add(module: ModuleType) -> dict:
        path = module.__name__.replace(".", "/") + ".py"
        (example,) = [text for text in EXAMPLES if text.startswith(f"# {path}\n")]
        place = dict(vars(module))
        exec(compile(example, path, "exec"), place)
        return place

    yield add
    for place, content in zip(places, before, strict=True):
        place.clear()
        place.update(content)
    backbones.NAMED_BACKBONES[:] = known


def test_every_example_is_of_a_file_and_executed_here():
    names = [text.partition("\n")[0].removeprefix("# src/") for text in EXAMPLES]
    modules = (backbones, heads, catalog, sampler, metrics, clinical, steps)
    assert names == [
        module.__name__.removeprefix("src.").replace(".", "/") + ".py" for module in modules
    ]
    for module in modules:
        assert importlib.import_module(module.__name__) is module


def test_a_backbone(added):
    added(backbones)
    network, width = backbones.create_backbone("small_resnet", 32, pretrained=False)
    assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, width)


def test_a_head(added):
    added(heads)
    head = heads.HEADS.build("bottleneck(units=5)", width=7, channels=7, n_outputs=3)
    assert head(torch.zeros(2, 7)).shape == (2, 3) and head[0].out_features == 5
    with pytest.raises(UserError, match="units=0"):
        heads.HEADS.build("bottleneck(units=0)", width=7, channels=7, n_outputs=3)


def test_an_objective(added):
    added(catalog)
    logits, targets = torch.tensor([[2.0, -1.0], [0.5, 0.25]]), torch.tensor([0, 1])
    rows = logits, targets, torch.zeros(2, dtype=torch.long)
    plain, found = build("cross_entropy")(*rows), build("poly(epsilon=2.0)")(*rows)
    torch.testing.assert_close(build("poly(epsilon=0.0)")(*rows), plain)
    likely = logits.softmax(1)[[0, 1], targets]
    torch.testing.assert_close(found, plain + 2 * (1 - likely).mean())


def test_a_sampler(added):
    added(sampler)
    order = sampler.SAMPLERS.build("half", labels=np.zeros(9, int), groups=None, n_ranks=1)
    drawn = order(np.random.default_rng(0))
    assert len(drawn) == len(set(drawn)) == 4


def test_a_metric(added):
    added(metrics)
    labels, decisions = np.array([1, 1, 0, 0, 0]), np.array([1, 0, 0, 0, 1])
    rows = from_columns([*"abcde"], labels, labels * 0, decisions, None, (), ("light",))
    found = metrics.METRICS["youden_index"].measure(rows_of(rows).as_they_are())
    np.testing.assert_allclose(found, 1 / 2 + 2 / 3 - 1)


def test_a_data_set(added, tmp_path):
    clinic = added(clinical)["clinic"]
    rows = [
        {"photo": f"{n}.png", "diagnosis": ("melanoma", "nevus")[n % 2], "person": n // 2}
        for n in range(4)
    ]
    write_csv(tmp_path / "cases.csv", rows, ",")
    for n in range(4):
        write_image(tmp_path / "images" / f"{n}.png", n)
    table = clinic(tmp_path)
    assert table.classes[table.positive] == "melanoma" and len(table) == 4
    assert table.rows["patient_id"].nunique() == 2


def test_a_preprocessing_step(added):
    added(steps)
    spec = parse_preprocessing("gamma_correction(gamma=2.0) | resize || normalize(stats='half')", 2)
    grey = np.full((2, 2, 3), 64, np.uint8)
    brighter = round(255 * (64 / 255) ** 0.5)
    np.testing.assert_allclose(spec(grey), (brighter / 255 - 0.5) / 0.5, atol=1e-6)
    with pytest.raises(UserError, match="gamma"):
        parse_preprocessing("gamma_correction(gamma=0) | resize || normalize(stats='half')", 2)
