"""The sections: frozen fields with help, values that no run could use are refused."""

import typing
from dataclasses import FrozenInstanceError, fields

import pytest

from src.core.config import SECTIONS, Config, from_flat
from src.core.errors import UserError

ALL_FIELDS = [(section, f) for section in SECTIONS.values() for f in fields(section)]


def test_every_field_has_help_a_known_type_and_a_default_of_that_type():
    for _, field in ALL_FIELDS:
        assert field.metadata["help"].strip()
        optional = (float | None, tuple[float, ...] | None)
        if typing.get_origin(field.type) is typing.Literal:
            assert field.default in typing.get_args(field.type)
            continue
        assert field.type in (str, bool, int, float, *optional)
        assert type(field.default) is (type(None) if field.type in optional else field.type)


def test_no_two_sections_share_a_field_name():
    names = [field.name for _, field in ALL_FIELDS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", SECTIONS)
def test_sections_are_frozen(name):
    section = getattr(Config(), name)
    with pytest.raises(FrozenInstanceError):
        setattr(section, fields(section)[0].name, "other")


def test_with_settings_changes_a_copy():
    before = Config()
    after = before.with_settings(lr=0.5, run_name="x")
    assert (after.learning.lr, after.run.run_name) == (0.5, "x")
    assert before == Config()
    changed = {key for key, value in after.flat().items() if value != before.flat()[key]}
    assert changed == {"lr", "run_name"}


def test_flat_and_from_flat_are_inverse():
    cfg = Config().with_settings(epochs=3, clip_grad=1.5, pretrained=False, data_path="a b/ü")
    assert from_flat(cfg.flat()) == cfg


def test_data_path_is_filled_into_other_texts():
    cfg = Config().with_settings(data_path="/d", weights="{data_path}/w/{data_path}.pth")
    assert cfg.model.weights == "/d/w//d.pth"
    assert cfg.data.data_path == "/d"


def test_data_path_cannot_hold_its_own_placeholder():
    with pytest.raises(UserError, match=r"--data_path: contains \{data_path\} itself"):
        Config().with_settings(data_path="/x/{data_path}")


@pytest.mark.parametrize("shares", [(0.6, 0.4), (0.0, 0.15), (0.5, -0.1), (1.0, 0.0), (2.0, -1.5)])
def test_shares_must_leave_training_and_validation_rows(shares):
    with pytest.raises(UserError, match="--valid_size and --test_size: expected to leave rows"):
        Config().with_settings(valid_size=shares[0], test_size=shares[1])


def test_train_size_is_what_the_other_shares_leave():
    cfg = Config().with_settings(valid_size=0.25, test_size=0.0)
    assert cfg.data.train_size == 0.75


IMPOSSIBLE = [
    {"input_size": 15},
    {"num_workers": -1},
    {"max_bad_images": -1},
    {"split_seed": -1},
    {"seed": -1},
    {"seed": 2**32},
    {"drop_path": 1.0},
    {"dropout": -0.1},
    {"num_classes": 1},
    {"num_classes": -2},
    {"num_groups": -1},
    {"epochs": 0},
    {"batch_size": 0},
    {"update_freq": 0},
    {"lr": 0.0},
    {"weight_decay": -1.0},
    {"weight_decay_end": -1.0},
    {"clip_grad": 0.0},
    {"mixup": -0.1},
    {"mixup": 0.009},
    {"cutmix": 1e-9},
    {"mixup_prob": 1.1},
    {"mixup_prob": -0.1},
    {"mixup_switch_prob": 2.0},
    {"cutmix_minmax": (0.2,)},
    {"cutmix_minmax": (0.2, 0.5, 0.8)},
    {"cutmix_minmax": (0.8, 0.2)},
    {"cutmix_minmax": (0.2, 1.1)},
    {"cutmix_minmax": (-0.1, 0.5)},
    {"cutmix_minmax": (0.0, 0.0)},
    {"cutmix_minmax": ()},
    {"save_ckpt_freq": 0},
    {"run_name": "a/b"},
    {"run_name": ".."},
    {"run_name": "/a"},
    {"run_name": "."},
]


def test_impossible_values_are_refused_in_one_line_that_names_the_flag():
    for setting in IMPOSSIBLE:
        with pytest.raises(UserError) as error:
            Config().with_settings(**setting)
        assert str(error.value).startswith(f"--{next(iter(setting))}"), setting
        assert ": expected " in str(error.value) and str(error.value).isprintable()


@pytest.mark.parametrize(
    "setting",
    [
        {"input_size": 16},
        {"num_workers": 0},
        {"seed": 2**32 - 1},
        {"drop_path": 0.99},
        {"num_classes": 2},
        {"num_classes": 0},
        {"weight_decay": 0.0},
        {"weight_decay_end": None},
        {"clip_grad": None},
        {"mixup": 0.01, "cutmix": 0.01, "mixup_prob": 0.0, "mixup_switch_prob": 1.0},
        {"cutmix_minmax": (0.0, 1.0)},
        {"cutmix_minmax": (1.0, 1.0)},
        {"run_name": "a b.c"},
        {"test_size": 0.0},
    ],
    ids=str,
)
def test_values_at_the_edge_are_accepted(setting):
    flat = Config().with_settings(**setting).flat()
    assert setting.items() <= flat.items()
