"""The flags of earlier systems: each becomes its canonical form, or is refused in words."""

import pytest

from src.core.config import Config
from src.core.errors import UserError
from src.core.flags import DEFAULTS, convert_setting, load_config, make_parser
from src.core.legacy_flags import LEGACY_FLAGS, Choice, Option, Prefix, Refused, canonical
from src.engine.checks import check_settings
from src.objectives.catalog import OBJECTIVES

CHOICES = [name for name, flag in LEGACY_FLAGS.items() if isinstance(flag, Choice)]
PREFIXES = [name for name, flag in LEGACY_FLAGS.items() if isinstance(flag, Prefix)]
OPTIONS = [name for name, flag in LEGACY_FLAGS.items() if isinstance(flag, Option)]
REFUSED = [name for name, flag in LEGACY_FLAGS.items() if isinstance(flag, Refused)]
# A component that takes each option, for those whose field's default does not.
HOSTS = {
    "kaggle_csv_file": "siim",
    "kaggle_image_dir": "siim",
    "undersample_benign_ratio": "undersample",
}
EXAMPLES = {str: "some/where", float: 0.25, int: 3, tuple[float, ...] | None: (0.8, 0.9)}
EXPORTED_YAML = """\
kaggle: false
data_path: ./isic2020_challenge
skin_color_csv: ./isic2020_challenge/ISIC_2020_full.csv
output_dir: "./melanoma_output"
log_dir: "./melanoma_logs"
model: "convnext_tiny"
num_classes: 2
num_groups: 4
pretrained: true
freeze_model: false
in_22k: false
input_size: 224
drop_path: 0.1
test: true
batch_size: 2
epochs: 10
start_epoch: 0
update_freq: 1
ohem: false
ifw: true
recall_ce: false
focal_loss: false
domain_independent_loss: false
domain_discriminative_loss: true
conditional_accuracy: null
opt: "adamw"
opt_eps: 1.0e-08
opt_betas: null
lr: 0.0001
min_lr: 1.0e-06
weight_decay: 0.0001
weight_decay_end: 0.0001
clip_grad: null
warmup_epochs: 1
warmup_steps: -1
layer_decay: 1.0
oversample_malignant: false
undersample_benign: false
undersample_benign_ratio: -1
smoothing: 0.1
mixup: 0.0
cutmix: 0.0
cutmix_minmax: null
mixup_prob: 1.0
mixup_switch_prob: 0.5
mixup_mode: "batch"
cielab: true
skin_former: false
segment_out_skin: false
model_ema: false
model_ema_decay: 0.9999
model_ema_force_cpu: false
save_ckpt: true
save_ckpt_freq: 1
seed: 0
device: "cuda"
num_workers: 32
pin_mem: true
checkpoint: ""
use_amp: false
world_size: 1
local_rank: -1
dist_on_itp: false
distributed: false
dist_url: "env://"
"""


@pytest.fixture
def load(tmp_path):
    """The configuration of a YAML text and command-line flags."""

    def load(text, *flags):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return load_config(["--config", str(path), *flags])

    return load


def changed(cfg):
    return {key: value for key, value in cfg.flat().items() if value != DEFAULTS[key]}


def test_an_exported_yaml_with_every_key_loads_as_written(load):
    cfg = load(EXPORTED_YAML)
    check_settings(cfg)
    assert cfg == Config().with_settings(
        data_path="./isic2020_challenge",
        skin_color_csv="./isic2020_challenge/ISIC_2020_full.csv",
        output_dir="./melanoma_output",
        log_dir="./melanoma_logs",
        model="convnext_tiny",
        num_classes=2,
        num_groups=4,
        pretrained=True,
        input_size=224,
        drop_path=0.1,
        test=True,
        batch_size=2,
        epochs=10,
        class_weights="inverse_frequency",
        objective="domain_discriminative(smoothing=0.1)",
        opt="adamw(eps=1e-08)",
        lr=0.0001,
        scheduler="cosine(min_lr=1e-06, warmup_epochs=1.0)",
        weight_decay=0.0001,
        weight_decay_end=0.0001,
        preprocess="resize || to_lab | normalize(stats='train')",
        device="cuda",
        num_workers=32,
    )


def test_the_published_yaml_example_loads_as_written(load):
    cfg = load(
        """\
data_path: "./isic2020_challenge"
skin_color_csv: "./isic2020_challenge/ISIC_2020_full.csv"
model: "dinov2_vit_small"
batch_size: 8
epochs: 10
input_size: 224
num_classes: 2
num_workers: 4
pretrained: true
log_dir: "./melanoma_logs"
warmup_epochs: 0
use_amp: false
lr: 0.01
mixup: 0.0
update_freq: 1
ifw: true
weight_decay: 0.0001
output_dir: "./melanoma_classifier_output"
"""
    )
    check_settings(cfg)
    assert changed(cfg) == {
        "skin_color_csv": "./isic2020_challenge/ISIC_2020_full.csv",
        "model": "dinov2_vit_small",
        "batch_size": 8,
        "epochs": 10,
        "num_classes": 2,
        "log_dir": "./melanoma_logs",
        "lr": 0.01,
        "class_weights": "inverse_frequency",
        "weight_decay": 0.0001,
        "output_dir": "./melanoma_classifier_output",
    }


def test_the_published_training_command_parses():
    command = (
        "--data_path ./isic2020_challenge --skin_color_csv .isic2020_challenge/ISIC_2020_full.csv "
        "--model dinov2_vit_small --batch_size 8 --epochs 10 --device cpu --freeze_model True "
        "--input_size 224 --num_classes 2 --pretrained True --log_dir ./melanoma_logs "
        "--warmup_epochs 0 --use_amp False --lr 0.01 --weight_decay 0.0001 --update_freq 1 "
        "--ifw --recall_ce"
    )
    cfg = load_config(command.split())
    check_settings(cfg)
    assert changed(cfg) == {
        "skin_color_csv": ".isic2020_challenge/ISIC_2020_full.csv",
        "model": "dinov2_vit_small",
        "batch_size": 8,
        "epochs": 10,
        "device": "cpu",
        "freeze_model": True,
        "num_classes": 2,
        "log_dir": "./melanoma_logs",
        "lr": 0.01,
        "weight_decay": 0.0001,
        "class_weights": "inverse_frequency",
        "objective": "recall_cross_entropy",
    }


def test_the_published_evaluation_command_parses():
    command = (
        "--data_path ./isic2020_challenge --skin_color_csv ./isic2020_challenge/ISIC_2020_full.csv "
        "--model dinov2_vit_small --batch_size 8 --device cpu --input_size 224 --num_classes 2 "
        "--checkpoint runs/best_checkpoint.pth --ifw --test"
    )
    cfg = load_config(command.split())
    assert changed(cfg) == {
        "skin_color_csv": "./isic2020_challenge/ISIC_2020_full.csv",
        "model": "dinov2_vit_small",
        "batch_size": 8,
        "device": "cpu",
        "num_classes": 2,
        "checkpoint": "runs/best_checkpoint.pth",
        "class_weights": "inverse_frequency",
        "test": True,
    }


def test_every_earlier_flag_has_help_and_a_name_of_its_own():
    for name in LEGACY_FLAGS:
        assert LEGACY_FLAGS[name].help.strip()
        assert name not in DEFAULTS


def test_every_earlier_flag_reads_values_of_its_type():
    for name in LEGACY_FLAGS:
        kind = LEGACY_FLAGS[name].annotation
        value = {bool: True, bool | None: False}.get(kind, EXAMPLES.get(kind))
        text = [str(item) for item in value] if isinstance(value, tuple) else str(value)
        assert convert_setting(name, text, "here") == value
        if kind not in (str, tuple[float, ...] | None):
            with pytest.raises(UserError, match=r"here is 'x': expected (a |true or)"):
                convert_setting(name, "x", "here")


def test_the_switches_stand_for_what_they_always_did():
    assert {name: LEGACY_FLAGS[name].call for name in CHOICES} == {
        "kaggle": "siim",
        "cielab": "resize || to_lab | normalize(stats='train')",
        "oversample_malignant": "oversample",
        "undersample_benign": "undersample",
        "ohem": "ohem",
        "recall_ce": "recall_cross_entropy",
        "focal_loss": "focal",
        "domain_independent_loss": "domain_independent",
        "domain_discriminative_loss": "domain_discriminative",
        "ifw": "inverse_frequency",
    }


@pytest.mark.parametrize("name", CHOICES)
def test_a_switch_sets_its_field(name):
    for form in ["--{}", "--{} true", "--{}=True"]:
        flag = LEGACY_FLAGS[name]
        cfg = load_config(form.format(name).split())
        assert changed(cfg) == {flag.field: flag.call}
        check_settings(cfg)


@pytest.mark.parametrize("name", CHOICES)
def test_a_switch_set_to_false_takes_back_what_yaml_chose(load, name):
    for flags in ["--{} false", "--no_{}", "--no-{}"]:
        assert load_config(flags.format(name).split()) == Config()
        assert load(f"{name}: true", *flags.format(name).split()) == Config()
        assert load(f"{name}: false", f"--{name}") == load_config([f"--{name}"])


def test_a_switch_set_to_false_leaves_what_another_chose(load):
    assert load("ohem: true", "--focal_loss", "false").learning.objective == "ohem"
    assert load("objective: ohem(fraction=0.5)", "--no_focal_loss").learning.objective == (
        "ohem(fraction=0.5)"
    )
    assert load("objective: focal(gamma=1.5)", "--no_focal_loss").learning.objective == (
        "cross_entropy"
    )


RIVALS = [
    (a, b)
    for i, a in enumerate(CHOICES)
    for b in CHOICES[i + 1 :]
    if LEGACY_FLAGS[a].field == LEGACY_FLAGS[b].field
]


def test_the_losses_are_rivals_of_each_other():
    losses = [name for name in CHOICES if LEGACY_FLAGS[name].field == "objective"]
    assert len(losses) == 5
    assert sum(LEGACY_FLAGS[a].field == "objective" for a, _ in RIVALS) == 10


@pytest.mark.parametrize(("first", "second"), RIVALS)
def test_two_choices_at_once_are_an_error_within_yaml_and_within_the_command_line(
    load, first, second
):
    message = f"--{first} and --{second} both choose the {LEGACY_FLAGS[first].field}"
    with pytest.raises(UserError, match=message):
        load(f"{first}: true\n{second}: true")
    with pytest.raises(UserError, match=message):
        load_config([f"--{first}", f"--{second}"])


@pytest.mark.parametrize("name", CHOICES)
def test_a_switch_beside_its_field_is_an_error(load, name):
    flag = LEGACY_FLAGS[name]
    message = f"--{flag.field} and --{name} both choose the {flag.field}: give one of them"
    with pytest.raises(UserError, match=message):
        load_config([f"--{flag.field}", flag.call, f"--{name}"])
    with pytest.raises(UserError, match=message):
        load(f"{name}: true\n{flag.field}: {flag.call}")


@pytest.mark.parametrize("name", CHOICES)
def test_a_switch_that_is_off_leaves_its_field_alone(load, name):
    """As in a file that lists every flag of the earlier system."""
    flag = LEGACY_FLAGS[name]
    assert load(f"{name}: false\n{flag.field}: {flag.call}").flat()[flag.field] == flag.call


@pytest.mark.parametrize(("first", "second"), RIVALS)
def test_a_choice_on_the_command_line_wins_over_another_in_yaml(load, first, second):
    cfg = load(f"{first}: true", f"--{second}")
    assert changed(cfg) == {LEGACY_FLAGS[second].field: LEGACY_FLAGS[second].call}


def test_the_prefixes_stand_for_what_they_always_did():
    assert {name: (LEGACY_FLAGS[name].field, LEGACY_FLAGS[name].call) for name in PREFIXES} == {
        "skin_former": ("augment", "skin_former"),
        "segment_out_skin": ("preprocess", "segment_out_skin"),
    }


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_stands_before_the_default(name):
    for form in ["--{}", "--{} true", "--{}=True"]:
        flag = LEGACY_FLAGS[name]
        for spelling in (name, name.replace("_", "-")):
            cfg = load_config(form.format(spelling).split())
            assert changed(cfg) == {flag.field: f"{name} | {DEFAULTS[flag.field]}"}
            check_settings(cfg)


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_set_to_false_takes_back_what_yaml_put_there(load, name):
    for flags in ["--{} false", "--no_{}", "--no-{}"]:
        flags = flags.format(name).split()
        assert load_config(flags) == Config()
        assert load(f"{name}: true", *flags) == Config()
        assert load(f"{name}: false", f"--{name}") == load_config([f"--{name}"])
        field = LEGACY_FLAGS[name].field
        written = f"'{name} | {DEFAULTS[field]}'".replace("'pretrained'", "''pretrained''")
        assert load(f"{field}: {written}", *flags) == Config()


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_given_twice_stands_there_once(load, name):
    once = load_config([f"--{name}"])
    assert load(f"{name}: true", f"--{name}") == once
    assert load_config([f"--{name}", f"--{name}"]) == once
    field = LEGACY_FLAGS[name].field
    assert load_config([f"--{field}", once.flat()[field], f"--{name}"]) == once


CHAINS = {  # a chain; the same with the prefix; the same without it
    "skin_former": [
        ("", "skin_former", ""),
        ("skin_former", "skin_former", ""),
        ("flips", "skin_former | flips", "flips"),
        ("none | flips", "skin_former | none | flips", "none | flips"),
        ("skin_former(masks='estimated')|flips", "skin_former(masks='estimated')|flips", "flips"),
        ("skin_formers | flips", "skin_former | skin_formers | flips", "skin_formers | flips"),
    ],
    "segment_out_skin": [
        ("|| resize", "segment_out_skin | || resize", "|| resize"),
        ("segment_out_skin || resize", "segment_out_skin || resize", "|| resize"),
        ("segment_out_skin | || resize", "segment_out_skin | || resize", "|| resize"),
        ("segment_out_skin(value=9) | resize", "segment_out_skin(value=9) | resize", "resize"),
        (
            "resize || segment_out_skin",
            "segment_out_skin | resize || segment_out_skin",
            "resize || segment_out_skin",
        ),
    ],
}


@pytest.mark.parametrize(
    ("name", "chain", "with_it", "without_it"),
    [(name, *chains) for name, rows in CHAINS.items() for chains in rows],
)
def test_a_prefix_stands_before_any_chain_and_leaves_any_as_it_was(
    load, name, chain, with_it, without_it
):
    field = LEGACY_FLAGS[name].field
    assert load_config([f"--{field}", chain, f"--{name}"]).flat()[field] == with_it
    in_yaml = f'{field}: "{chain}"'
    assert load(in_yaml, f"--{name}").flat()[field] == with_it
    assert load(in_yaml, f"--no_{name}").flat()[field] == without_it
    assert load(f"{in_yaml}\n{name}: true").flat()[field] == with_it


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_that_is_off_leaves_the_chain_beside_it(load, name):
    """As in a file that lists every flag of the earlier system."""
    field = LEGACY_FLAGS[name].field
    for chain in (f"{name} | resize", name, "resize"):
        assert load(f"{name}: false\n{field}: {chain}").flat()[field] == chain
        assert load_config([f"--no_{name}", f"--{field}", chain]).flat()[field] == chain


LAB = LEGACY_FLAGS["cielab"].call


@pytest.mark.parametrize("reverse", [False, True])
def test_the_three_flags_of_skin_tone_combine_in_any_order(load, reverse):
    names = ["cielab", "skin_former", "segment_out_skin"]
    names = names[::-1] if reverse else names
    cfg = load_config([f"--{name}" for name in names])
    assert changed(cfg) == {
        "preprocess": f"segment_out_skin | {LAB}",
        "augment": "skin_former | dermatoscopy",
    }
    assert load("\n".join(f"{name}: true" for name in names)) == cfg
    for first in names:
        rest = [f"--{name}" for name in names if name != first]
        assert load(f"{first}: true", *rest) == cfg


@pytest.mark.parametrize("step", ["segment_out_skin", "segment_out_skin(value=9)"])
def test_cielab_comes_and_goes_without_the_prefix_before_it(load, step):
    plain, default = f"preprocess: '{step} | resize'", DEFAULTS["preprocess"]
    assert load(plain, "--cielab").data.preprocess == f"{step} | {LAB}"
    in_lab = f'preprocess: "{step} | {LAB}"'
    assert load(in_lab, "--no_cielab").data.preprocess == f"{step} | {default}"
    assert load(in_lab, "--no_segment_out_skin").data.preprocess == LAB
    assert load(in_lab, "--no_segment_out_skin", "--no_cielab") == Config()
    assert load(in_lab, "--no_segment_out_skin", "--cielab").data.preprocess == LAB
    assert load(plain, "--preprocess", "resize").data.preprocess == "resize"


def test_skin_former_leaves_sampler_and_objective_alone(load):
    cfg = load("oversample_malignant: true\nfocal_loss: true", "--skin_former")
    assert changed(cfg) == {
        "sampler": "oversample",
        "objective": "focal",
        "augment": "skin_former | dermatoscopy",
    }


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_written_into_its_call_string(load, name):
    flag = LEGACY_FLAGS[name]
    value = EXAMPLES[flag.annotation]
    words = list(map(str, value)) if isinstance(value, tuple) else [str(value)]
    host = HOSTS.get(name, DEFAULTS[flag.field])
    flags = [f"--{flag.field}", host, f"--{name}", *words]
    expected = f"{host}({flag.option}={value!r})"
    assert load_config(flags).flat()[flag.field] == expected
    check_settings(load_config([*flags, "--lr", "1"]))
    in_yaml = f"[{', '.join(words)}]" if len(words) > 1 else words[0]
    assert load(f"{flag.field}: {host}\n{name}: {in_yaml}").flat()[flag.field] == expected


def test_options_gather_and_later_layers_replace_them(load):
    cfg = load("min_lr: 1e-5\nwarmup_epochs: 2", "--warmup_epochs", "3")
    assert cfg.learning.scheduler == "cosine(min_lr=1e-05, warmup_epochs=3.0)"
    assert load("warmup_epochs: 2", "--warmup_epochs", "0").learning.scheduler == "cosine"
    assert load("smoothing: 0.1", "--smoothing", "0.2").learning.objective == (
        "cross_entropy(smoothing=0.2)"
    )
    assert load(
        "objective: cross_entropy(smoothing=0.2)", "--smoothing", "0"
    ).learning.objective == ("cross_entropy")


@pytest.mark.parametrize("reverse", [False, True])
def test_an_option_reaches_the_choice_of_its_layer_whatever_their_order(load, reverse):
    lines = ["domain_independent_loss: true", "smoothing: 0.1"]
    cfg = load("\n".join(lines[::-1] if reverse else lines))
    assert cfg.learning.objective == "domain_independent(smoothing=0.1)"


def test_a_later_choice_leaves_earlier_options_behind(load):
    assert load("smoothing: 0.1", "--focal_loss").learning.objective == "focal"
    assert load("smoothing: 0.1", "--objective", "ohem").learning.objective == "ohem"


def test_an_option_that_contradicts_its_call_string_is_an_error(load):
    message = "--objective and --smoothing both set 'smoothing': give one of them"
    with pytest.raises(UserError, match=message):
        load_config(["--objective", "cross_entropy(smoothing=0.2)", "--smoothing", "0.1"])
    with pytest.raises(UserError, match=message):
        load("objective: cross_entropy(smoothing=0.2)\nsmoothing: 0.1")


def test_kaggle_places_of_any_name_survive_as_literals():
    odd = 'a b/it\'s "x", y=1) | z'
    cfg = load_config(["--kaggle", "--kaggle_csv_file", odd, "--kaggle_image_dir", "jpeg\\train"])
    assert cfg.data.dataset == f"siim(csv={odd!r}, images={'jpeg' + chr(92) + 'train'!r})"


@pytest.mark.parametrize("name", [n for n in OPTIONS if LEGACY_FLAGS[n].off is not None])
def test_an_option_at_its_off_value_changes_nothing(name):
    flag = LEGACY_FLAGS[name]
    assert load_config([f"--{name}", str(flag.off)]) == Config()
    assert load_config([f"--{name}={flag.off}"]) == Config()


def test_null_betas_change_nothing(load):
    assert load("opt_betas: null") == Config()


@pytest.mark.parametrize("loss", ["domain_independent", "domain_discriminative"])
def test_conditional_accuracy_is_the_own_heads_rule(load, loss):
    for form in ["--{}", "--{} true", "--{}=True"]:
        expected = f"{loss}(decide='own')"
        for name in ("conditional_accuracy", "conditional-accuracy"):
            cfg = load_config([f"--{loss}_loss", *form.format(name).split()])
            assert changed(cfg) == {"objective": expected}
            check_settings(cfg)
        for first in (f"{loss}_loss: true", f"objective: {loss}"):
            in_yaml = load(f"conditional_accuracy: true\n{first}")
            assert changed(in_yaml) == {"objective": expected}
        smoothed = load(f"{loss}_loss: true\nsmoothing: 0.1", "--conditional_accuracy")
        assert smoothed.learning.objective == f"{loss}(smoothing=0.1, decide='own')"


def test_conditional_accuracy_of_null_or_false_asks_for_nothing(load):
    for text in ["null", "false", "no"]:
        assert load(f"conditional_accuracy: {text}") == Config()
        for objective in (
            "focal",
            "domain_independent(decide='prior_shift')",
            "domain_independent(decide='own')",
        ):
            cfg = load(f"conditional_accuracy: {text}\nobjective: {objective}")
            assert cfg.learning.objective == objective
        shifted = "objective: domain_independent(decide='prior_shift')"
        for flags in (["--no_conditional_accuracy"], ["--conditional_accuracy", "false"]):
            assert load(shifted, *flags) == load(shifted)


@pytest.mark.parametrize("flags", ["--conditional_accuracy false", "--no-conditional-accuracy"])
def test_conditional_accuracy_is_taken_back_by_a_later_layer(load, flags):
    text = "domain_independent_loss: true\nconditional_accuracy: true"
    assert load(text, *flags.split()).learning.objective == "domain_independent"
    text = "objective: domain_independent(decide='own', smoothing=0.1)"
    cfg = load(text, *flags.split())
    assert cfg.learning.objective == "domain_independent(smoothing=0.1)"


def test_conditional_accuracy_wins_over_an_earlier_rule_and_contradicts_one_beside_it(load):
    text = "objective: domain_independent(decide='prior_shift')"
    cfg = load(text, "--conditional_accuracy")
    assert cfg.learning.objective == "domain_independent(decide='own')"
    message = "--objective and --conditional_accuracy both set 'decide': give one of them"
    with pytest.raises(UserError, match=message):
        load(text + "\nconditional_accuracy: true")


WITHOUT_RULES = [
    name for name in OBJECTIVES.names() if "decide" not in OBJECTIVES.resolve(name).options
]


@pytest.mark.parametrize("objective", WITHOUT_RULES)
def test_conditional_accuracy_needs_an_objective_with_heads_of_groups(objective):
    cfg = load_config(["--conditional_accuracy", "--objective", objective])
    with pytest.raises(UserError, match=f"'{objective}' has no option 'decide'") as error:
        check_settings(cfg)
    assert "\n" not in str(error.value)


def test_a_refused_flag_is_accepted_at_its_neutral_values(load):
    for name in REFUSED:
        for value in LEGACY_FLAGS[name].neutral:
            assert load(f"{name}: {'null' if value is None else value}") == Config()
            if value is not None:
                assert load_config([f"--{name}", str(value)]) == Config()
                assert load_config([f"--{name}={value}"]) == Config()


def other_value(flag):
    """Words that a refused flag's type reads, at none of its neutral values."""
    if flag.annotation in (bool, bool | None):
        return ["true"]
    return {str: ["elsewhere"], int: ["7"]}.get(flag.annotation, ["0.7"])


def test_a_refused_flag_is_refused_at_any_other_value(load):
    for name in REFUSED:
        words = other_value(LEGACY_FLAGS[name])
        for given in (
            lambda name=name, words=words: load_config([f"--{name}", *words]),
            lambda name=name, words=words: load(f"{name}: {words[0]}"),
        ):
            with pytest.raises(UserError) as error:
                given()
            message = str(error.value)
            assert message.startswith(f"--{name} ")
            assert message.endswith(LEGACY_FLAGS[name].instead)
            assert "\n" not in message


@pytest.mark.parametrize("name", [n for n in REFUSED if None not in LEGACY_FLAGS[n].neutral])
def test_the_command_line_takes_back_what_yaml_asks_of_a_refused_flag(load, name):
    flag = LEGACY_FLAGS[name]
    cfg = load(f"{name}: {other_value(flag)[0]}", f"--{name}", str(flag.neutral[0]))
    assert cfg == Config()


def test_local_rank_of_a_launcher_parses():
    assert load_config(["--local-rank=0"]) == Config()


def test_canonical_leaves_what_it_was_given_untouched():
    settings, layer = dict(DEFAULTS), {"focal_loss": True, "lr": 1.0}
    assert canonical(settings, layer, DEFAULTS)["objective"] == "focal"
    assert settings == DEFAULTS
    assert layer == {"focal_loss": True, "lr": 1.0}


def test_every_earlier_flag_is_on_the_command_line():
    flags = {o for action in make_parser("")._actions for o in action.option_strings}
    assert {f"--{name}" for name in LEGACY_FLAGS} <= flags
