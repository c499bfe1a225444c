"""Defaults < YAML files in order < command line, each setting in the type of its field."""

import contextlib
import io
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.config import SECTIONS, Config
from src.core.errors import UserError
from src.core.flags import (
    ANNOTATIONS,
    DEFAULTS,
    MAX_YAML_BYTES,
    load_config,
    make_parser,
    read_yaml,
    resolve,
    to_yaml,
)
from src.core.legacy_flags import LEGACY_FLAGS
from src.core.options import Section, convert, flag, parse_flags
from src.engine.checks import check_settings
from src.objectives.catalog import OBJECTIVES

# Adding a flag is a deliberate act: it changes what users type and what files hold.
CANONICAL_FLAGS = """
    allow_leakage amp_dtype augment batch_size cache cache_dir checkpoint class_weights clip_grad
    compile cutmix cutmix_minmax data_path dataset deterministic device dist_timeout drop_path
    dropout early_stopping epochs eval_batch_size fast_mode feature_views finetune fold freeze
    freeze_model head in_22k input_size keep_checkpoints kfold known_groups_only layer_decay
    log_dir lr malignant_copies max_bad_images mixup mixup_prob mixup_switch_prob model model_ema
    model_ema_decay model_ema_force_cpu model_ema_half_life monitor num_classes num_groups
    num_workers objective opt output_dir pin_mem preprocess pretrained resident resume run_name
    sampler save_ckpt save_ckpt_freq save_ckpt_steps scheduler seed skin_color_csv split_seed
    sync_bn teacher test test_size tf32 train_on_all update_freq use_amp valid_size weight_decay
    weight_decay_end weights
"""
EARLIER_FLAGS = """
    cielab conditional_accuracy dist_on_itp dist_url distributed domain_discriminative_loss
    domain_independent_loss focal_loss ifw kaggle kaggle_csv_file kaggle_image_dir local_rank
    min_lr mixup_mode ohem opt_betas opt_eps oversample_malignant recall_ce segment_out_skin
    skin_former smoothing start_epoch undersample_benign undersample_benign_ratio warmup_epochs
    warmup_steps world_size
"""


@pytest.fixture
def write(tmp_path):
    """Write texts to YAML files; their paths."""

    def write(*texts):
        paths = [tmp_path / f"{i}.yaml" for i in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text, encoding="utf-8")
        return [str(path) for path in paths]

    return write


def refusal(argv):
    with pytest.raises(UserError) as error:
        load_config(argv)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_list_of_flags_is_frozen():
    assert sorted(DEFAULTS) == CANONICAL_FLAGS.split()
    assert sorted(LEGACY_FLAGS) == EARLIER_FLAGS.split()
    options = {o for action in make_parser("")._actions for o in action.option_strings}
    named = {o for o in options if not o.startswith("--no_")}
    other = {"-h", "--help", "--version", "--config", "--print_config"}
    assert named == {f"--{name}" for name in ANNOTATIONS} | other
    assert {o[5:] for o in options - named} == {
        name for name, kind in ANNOTATIONS.items() if kind in (bool, bool | None)
    }


def test_help_shows_every_flag_with_its_text_and_default(capsys):
    with pytest.raises(SystemExit) as stop:
        load_config(["--help"])
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for section in SECTIONS.values():
        assert f"{section.__doc__}:" in shown
        for field in fields(section):
            assert f"--{field.name} " in shown
            text = " ".join(field.metadata["help"].split())
            empty = field.default in (None, "", ())
            default = str(field.default).lower() if field.type is bool else field.default
            assert (text if empty else f"{text} (default: {default})") in shown
    for name, seed in LEGACY_FLAGS.items():
        assert f"--{name} " in shown
        assert seed.help in shown


def test_without_flags_there_are_the_defaults():
    assert load_config([]) == Config()


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        (["--pretrained", "false"], False),
        (["--pretrained=false"], False),
        (["--pretrained", "False"], False),
        (["--pretrained", "0"], False),
        (["--no_pretrained"], False),
        (["--no-pretrained"], False),
        (["--pretrained"], True),
        (["--pretrained", "True"], True),
        (["--no_pretrained", "--pretrained"], True),
    ],
    ids=str,
)
def test_command_line_boolean_wins_over_yaml(write, flags, value):
    opposite, same = write(f"pretrained: {not value}", f"pretrained: {value}")
    for path in (opposite, same):
        assert load_config(["--config", path, *flags]).model.pretrained is value
        assert load_config([*flags, "--config", path]).model.pretrained is value


@pytest.mark.parametrize(
    ("key", "in_yaml", "flags", "value"),
    [
        ("lr", "1e-4", ["--lr", "1e-5"], 1e-5),
        ("lr", "1", ["--lr=3e-2"], 3e-2),
        ("epochs", "5", ["--epochs", "7"], 7),
        ("checkpoint", "best.pth", ["--checkpoint", ""], ""),
        ("checkpoint", "best.pth", ["--checkpoint="], ""),
        ("clip_grad", "1.0", ["--clip_grad", "null"], None),
        ("clip_grad", "null", ["--clip_grad", "2"], 2.0),
        ("data_path", "a", ["--data-path", "b"], "b"),
        ("data_path", "a", ["--data-path=x-y"], "x-y"),
        ("data_path", "a", ["--data_path", "b", "--data-path", "c"], "c"),
        ("model", "resnet18", ["--model", "null"], "null"),
    ],
)
def test_command_line_wins_over_yaml(write, key, in_yaml, flags, value):
    (path,) = write(f"{key}: {in_yaml}")
    found = load_config(["--config", path, *flags]).flat()[key]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("joined", [True, False])
def test_later_yaml_wins_over_earlier_and_yaml_over_defaults(write, joined):
    first, second = write("lr: 1e-2\nepochs: 5", "lr: 2e-2\nbatch-size: 3")
    flags = ["--config", first, second] if joined else ["--config", first, f"--config={second}"]
    cfg = load_config(flags)
    assert (cfg.learning.lr, cfg.learning.epochs, cfg.learning.batch_size) == (0.02, 5, 3)
    assert cfg == Config().with_settings(lr=0.02, epochs=5, batch_size=3)


def test_a_base_stands_in_for_the_defaults_only(write):
    (path,) = write("epochs: 5")
    base = {**DEFAULTS, "lr": 0.5, "epochs": 2, "batch_size": 4, "unknown": 1}
    cfg = load_config(["--config", path, "--batch_size", "8"], base=base)
    assert (cfg.learning.lr, cfg.learning.epochs, cfg.learning.batch_size) == (0.5, 5, 8)


def test_a_base_of_wrong_shape_is_refused():
    for base in [5, [1], "text", {"lr": "fast"}, {"epochs": None}, {"lr": [1]}]:
        with pytest.raises(UserError, match="the model's configuration"):
            resolve({}, base)


def test_yaml_scalars_take_the_type_of_their_field(write):
    for text, key, value in [
        ("lr: 1e-4", "lr", 1e-4),
        ("lr: 1.0e-04", "lr", 1e-4),
        ("lr: '0.01'", "lr", 0.01),
        ("lr: 1", "lr", 1.0),
        ("pretrained: no", "pretrained", False),
        ("pretrained: 'yes'", "pretrained", True),
        ("model: no", "model", "no"),
        ("model: 007", "model", "007"),
        ("model: 1e-4", "model", "1e-4"),
        ("model: 2020-01-01", "model", "2020-01-01"),
        ("checkpoint: null", "checkpoint", ""),
        ("checkpoint:", "checkpoint", ""),
        ("checkpoint: 'null'", "checkpoint", "null"),
        ("clip_grad: null", "clip_grad", None),
        ("clip_grad: ~", "clip_grad", None),
        ("clip_grad: 'none'", "clip_grad", None),
        ("clip_grad: 1", "clip_grad", 1.0),
        ("run-name: ünï", "run_name", "ünï"),
        ("opt_betas: [0.9, 1e-2]", "opt_betas", (0.9, 0.01)),
        ("opt_betas: 0.9", "opt_betas", (0.9,)),
        ("cutmix_minmax: null", "cutmix_minmax", None),
        ('{"lr": 1e-3}', "lr", 0.001),
    ]:
        (path,) = write(text)
        found = read_yaml(path)
        assert found == {key: value}
        assert type(found[key]) is type(value)


@pytest.mark.parametrize("text", ["", "# nothing", "{}"])
def test_an_empty_yaml_changes_nothing(write, text):
    assert load_config(["--config", *write(text)]) == Config()


def test_bad_yaml_is_refused_in_one_line_that_names_the_file(write):
    for text, expected in [
        ("epoch: 3", "unknown key 'epoch'; did you mean 'epochs'?"),
        ("lrr: 3", "unknown key 'lrr'; did you mean 'lr'?"),
        ("data: {data_path: x}", "unknown key 'data'; did you mean 'dataset'?"),
        ("zzzzzz: 3", "unknown key 'zzzzzz'"),
        ("~: 1", "unknown key 'None'"),
        ("? [a, b]\n: 1", "unknown key '['a', 'b']'"),
        ("? {a: b}\n: 1", "expected a value or a list of values, found one nested in another"),
        ("<<: {lr: 1}", "unknown key '<<'"),
        ("lr: 1\nlr: 1", "'lr' is given twice"),
        ("batch_size: 1\nbatch-size: 2", "'batch_size' is given twice"),
        ("lr: fast", "lr is 'fast': expected a number"),
        ("lr: true", "lr is 'true': expected a number"),
        ("lr: null", "lr is empty: expected a number"),
        ("lr:", "lr is empty: expected a number"),
        ("lr: ''", "lr is '': expected a number"),
        ("lr: .nan", "lr is '.nan': expected a number"),
        ("lr: nan", "lr is 'nan': expected a number"),
        ("lr: .inf", "lr is '.inf': expected a number"),
        ("lr: -inf", "lr is '-inf': expected a number"),
        ("lr: 1e999", "lr is '1e999': expected a number"),
        ("lr: [1, 2]", "lr is '['1', '2']': expected a number"),
        ("model: [a]", "model is '['a']': expected text"),
        ("model: {a: b}", "model: expected a value or a list of values"),
        ("epochs: 1.5", "epochs is '1.5': expected a whole number"),
        ("epochs: 0x10", "epochs is '0x10': expected a whole number"),
        ("pretrained: maybe", "pretrained is 'maybe': expected true or false"),
        ("pretrained: null", "pretrained is empty: expected true or false"),
        ("pretrained: 2", "pretrained is '2': expected true or false"),
        ("opt_betas: [0.9, x]", "opt_betas is 'x': expected a number"),
        ("opt_betas: [[0.9], 1]", "opt_betas: expected a value or a list of values"),
        ("opt_betas: &loop [*loop]", "line 1: *loop: expected the value itself, no alias"),
        ("lr: &a 1\nepochs: *a", "line 2: *a: expected the value itself, no alias"),
        ("- lr\n- epochs", "expected 'key: value' lines"),
        ("lr", "expected 'key: value' lines"),
        ("lr: 1\n---\nlr: 2", "not YAML (expected a single document"),
        ("lr: [1", "not YAML ("),
        ("lr: *undefined", "line 1: *undefined: expected the value itself"),
        ('run_name: "a\\0b"', "run_name is 'a\0b': expected text in UTF-8"),
        ('data_path: "\\uD800"', "expected text in UTF-8"),
        ("lr: \0", "not YAML ("),
        ("lr: " + "[" * 1500 + "]" * 1500, "not YAML ("),
        ("lr: !!python/object/apply:os.getcwd []", "lr is '[]': expected a number"),
    ]:
        (path,) = write(text)
        message = refusal(["--config", path])
        assert expected in message
        assert path in message


def test_a_missing_config_file_a_folder_bytes_and_a_huge_file_are_refused(tmp_path):
    missing, junk, huge, pipe = (tmp_path / n for n in ("missing", "junk", "huge", "pipe"))
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    junk.write_bytes(b"lr: \xff\xfe")
    huge.write_bytes(b"#" * (MAX_YAML_BYTES + 1))
    assert (
        refusal(["--config", str(missing)]) == f"--config {missing}: expected a file; no such file"
    )
    folder = refusal(["--config", str(tmp_path)])
    assert folder == f"--config {tmp_path}: expected a file; found a folder"
    link = refusal(["--config", str(tmp_path / "link")])
    assert link == f"--config {tmp_path / 'link'}: expected a file; found a device or pipe"
    assert f"--config {junk}: not YAML" in refusal(["--config", str(junk)])
    assert f"larger than {MAX_YAML_BYTES} bytes" in refusal(["--config", str(huge)])
    assert "--config: expected at least one argument" in refusal(["--config"])


def test_a_path_of_links_in_a_circle_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match=r"--space is '.*loop/x': expected a path"):
        convert(Path, str(tmp_path / "loop" / "x"), "--space")


def test_bad_flags_are_refused_in_one_line():
    for flags, expected in [
        (["--epoch", "3"], "unknown argument '--epoch'; did you mean 'epochs'? (see --help)"),
        (["--epoch=3"], "unknown argument '--epoch'; did you mean 'epochs'?"),
        (["--pretrain"], "unknown argument '--pretrain'; did you mean 'pretrained'?"),
        (["--zzzzzz"], "unknown argument '--zzzzzz' (see --help)"),
        (["stray"], "unknown argument 'stray'"),
        (["--pretrained", "false", "stray"], "unknown argument 'stray'"),
        (["--no_lr"], "unknown argument '--no_lr'"),
        (["--lr"], "--lr: expected one argument"),
        (["--lr", "nan"], "--lr is 'nan': expected a number"),
        (["--lr=-inf"], "--lr is '-inf': expected a number"),
        (["--lr", "1", "2"], "unknown argument '2'"),
        (["--epochs", "1.0"], "--epochs is '1.0': expected a whole number"),
        (["--pretrained", "maybe"], "--pretrained is 'maybe': expected true or false"),
        (["--opt_betas", "0.9", "inf"], "--opt_betas is 'inf': expected a number"),
        (["--epochs", "0"], "--epochs 0: expected 1 or more"),
    ]:
        assert expected in refusal(flags)


def test_unknown_components_are_refused_before_data_are_read():
    for flags, expected in [
        (["--objective", "focall"], "no objective is called 'focall'; did you mean 'focal'?"),
        (["--objective", "focal(gama=1)"], "objective 'focal' has no option 'gama'; did you mean"),
        (["--objective", "focal(gamma='a')"], "option 'gamma' is 'a': expected a value like 2.0"),
        (["--sampler", "randon"], "no sampler is called 'randon'; did you mean 'random'?"),
        (["--opt", "adamW"], "no optimizer is called 'adamW'; did you mean 'adam"),
        (["--scheduler", "cosin"], "no scheduler is called 'cosin'; did you mean 'cosine'?"),
        (["--dataset", "isic2002"], "no data set is called 'isic2002'; did you mean 'isic2020'?"),
        (["--augment", "dermatoscop"], "is called 'dermatoscop'; did you mean 'dermatoscopy'?"),
        (["--augment", "flips | skin_forme"], "called 'skin_forme'; did you mean 'skin_former'?"),
        (["--skin_former", "--augment", "flip"], "is called 'flip'; did you mean 'flips'?"),
        (["--augment", "flips | skin_former"], "skin_former must come first"),
        (["--skin_former", "--augment", "none | skin_former"], "skin_former must come first"),
        (["--augment", "skin_former(masks='none')"], "expected 'files' or 'estimated'"),
        (["--preprocess", "resiz"], "no preprocessing step is called 'resiz'; did you mean"),
        (["--segment_out_skin", "--preprocess", "flips"], "no preprocessing step is called 'fl"),
        (["--preprocess", "segment_out_skn | resize"], "did you mean 'segment_out_skin'?"),
        (["--preprocess", "segment_out_skin(value=256) | resize"], "value is 256"),
        (["--segment_out_skin", "--preprocess", "|| to_lab"], "a step that fixes the size"),
        (
            ["--preprocess", "resize | to_lab | segment_out_skin"],
            "expected segment_out_skin before",
        ),
        (
            ["--preprocess", "resize || normalize(stats='half') | remove_hair"],
            "expected remove_hair before normalize",
        ),
        (["--focal_loss", "--smoothing", "0.1"], "objective 'focal' has no option 'smoothing'"),
        (["--undersample_benign_ratio", "2"], "sampler 'random' has no option 'ratio'"),
    ]:
        with pytest.raises(UserError) as error:
            check_settings(load_config(flags))
        assert expected in str(error.value)


@pytest.mark.parametrize("step", ["segment_out_skin", "remove_hair", "shades_of_grey(norm=1.0)"])
def test_colour_steps_stand_on_either_side_of_the_mark(step):
    for chain in (f"{step} | resize || to_lab", f"resize || {step} | normalize(stats='half')"):
        check_settings(load_config(["--preprocess", chain]))


def test_every_objective_can_be_named_on_the_command_line():
    for name in OBJECTIVES.names():
        teacher = ["--teacher", __file__] if name == "distillation" else []
        check_settings(load_config(["--objective", name, *teacher]))


def test_a_teacher_and_distillation_are_given_together():
    features = ["--freeze_model", "true", "--feature_views", "1"]
    for flags, expected in (
        (["--objective", "distillation"], "--teacher ''"),
        (["--teacher", "x.csv"], "--objective cross_entropy"),
        (["--teacher", "none.csv", "--objective", "distillation"], "none.csv: no such"),
        (
            ["--teacher", __file__, "--objective", "distillation(share=0.5)", *features],
            "--feature_views and --teacher",
        ),
    ):
        with pytest.raises(UserError, match=expected):
            check_settings(load_config(flags))


def test_flags_are_read_from_the_command_line_of_the_process(monkeypatch):
    monkeypatch.setattr("sys.argv", ["melanoma_train.py", "--batch-size", "3"])
    assert parse_flags(make_parser(""), None) == {"batch_size": "3"}


def printed(argv):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as stop:
        load_config([*argv, "--print_config"])
    assert stop.value.code == 0
    return out.getvalue()


def test_print_config_prints_what_loads_back(write):
    (given_yaml,) = write("lr: 1e-7\nfocal_loss: true\nweights: '{data_path}/w'\nclip_grad: 1")
    argv = ["--config", given_yaml, "--run_name", "null", "--data_path", "a: b #c", "--no_test"]
    text = printed(argv)
    assert list(DEFAULTS) == [line.partition(":")[0] for line in text.splitlines()]
    (path,) = write(text)
    assert load_config(["--config", path]) == load_config(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["--cielab", "--skin_former", "--segment_out_skin"],
        ["--skin_former", "--augment", ""],
        ["--augment", "", "--preprocess", " || resize | normalize(stats='half')"],
        ["--segment_out_skin", "--preprocess", "|| resize | normalize(stats='half')"],
        ["--augment", "skin_former(target=(-5, 5), masks='estimated') | flips | dermatoscopy"],
        ["--no_skin_former", "--augment", "skin_former | flips"],
    ],
    ids=" ".join,
)
def test_chains_printed_load_back_and_take_no_second_prefix(write, argv):
    text, cfg = printed(argv), load_config(argv)
    (path,) = write(text)
    assert load_config(["--config", path]) == cfg
    assert printed(["--config", path]) == text
    for name in ("skin_former", "segment_out_skin"):
        field = LEGACY_FLAGS[name].field
        if cfg.flat()[field].startswith(name):
            assert load_config(["--config", path, f"--{name}"]) == cfg
            without = load_config(["--config", path, f"--no_{name}"])
            assert not without.flat()[field].startswith(name)


PRINTABLE = st.text(
    st.characters(exclude_categories=("C", "Z"), include_characters=" \n\t'\"#:-{}[]|>&*!%@`\\,"),
    max_size=12,
).filter(lambda text: "{data_path}" not in text)
SETTINGS = st.fixed_dictionaries(
    {
        "data_path": PRINTABLE,
        "weights": PRINTABLE | st.sampled_from(["null", "~", "true", "1e-4", "- a", "yes", ""]),
        "lr": st.floats(1e-300, 1000),
        "clip_grad": st.none() | st.floats(1e-6, 1e6),
        "seed": st.integers(0, 2**32 - 1),
        "pretrained": st.booleans(),
    }
)


@pytest.mark.parametrize(
    "as_text",
    [to_yaml, lambda cfg: json.dumps(cfg.flat(), ensure_ascii=False)],
    ids=["yaml", "json"],
)
def test_any_configuration_loads_back_from_yaml_and_json(as_text, tmp_path):
    path = tmp_path / "config.yaml"

    @given(SETTINGS)
    def check(settings):
        cfg = Config().with_settings(**settings)
        path.write_text(as_text(cfg), encoding="utf-8", newline="")
        assert load_config(["--config", str(path)]) == cfg

    check()


@given(st.text(alphabet="lr: 1e-4\n[]{}&*!?'\"#|>~,abc_", max_size=40))
def test_random_yaml_loads_or_is_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_text(text)
    with contextlib.suppress(UserError):
        assert isinstance(load_config(["--config", str(path)]), Config)


def test_limits_hold_for_every_number_of_a_section():
    @dataclass(frozen=True)
    class Options(Section):
        """limits"""

        share: float | None = flag(None, "a share", above=0, below=1)
        seeds: tuple[int, ...] = flag((0,), "seeds", least=0, most=9)

    assert Options(0.5, (0, 9)) == Options(share=0.5, seeds=(0, 9))
    for wrong in ({"share": 0.0}, {"share": 1.0}, {"share": float("nan")}, {"seeds": (3, 10)}):
        with pytest.raises(UserError, match=f"--{next(iter(wrong))} "):
            Options(**wrong)
