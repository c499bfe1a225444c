"""Images prepared once: the same samples, made by one, kept, never half a file, never stale."""

import os
import shutil
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.core.settings import Data
from src.datasets import checked
from src.datasets.load import load_table, without_bad_images
from src.loading import prepared
from src.loading.augment import Augmentation
from src.loading.loaders import LocalISICDataset, eval_loader, train_loader
from src.loading.prepared import first_reading, prepare_images
from src.loading.sampler import SAMPLERS, EpochBatches
from src.preprocess.spec import parse_preprocessing
from tests.datasets.small_isic import write_image

SPEC = parse_preprocessing("resize || normalize(stats='imagenet')", 32)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(isic, tmp_path):
    """Settings with images that were written a while ago, as data are."""
    for path in isic.rglob("*.jpg"):
        os.utime(path, ns=(10**18, 10**18))
    return Data(data_path=str(isic), cache="disk", cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def long_ago(monkeypatch):
    """The times of a file are taken for old ones, although the file is new."""
    monkeypatch.setattr(checked, "_UNSURE_NS", -(10**12))


def files(settings, pattern="*"):
    return sorted(path.name for path in Path(settings.cache_dir).glob(pattern))


def test_samples_are_the_same_with_and_without(settings):
    chain = "skin_former(masks='estimated', probability=(1, 1, 1, 1)) | dermatoscopy"
    table = load_table(settings)
    specs = ["resize || normalize(stats='half')", "shades_of_grey | pad_resize(value=9) || to_lab"]
    specs += ["resize(size=40) | remove_hair || center_crop(size=24)"]
    for text in specs:
        spec = parse_preprocessing(text, 32)
        plain = LocalISICDataset(table, spec, Augmentation(chain))
        for cache in ("disk", "ram"):
            images = prepare_images(table, spec, Data(cache=cache, cache_dir=settings.cache_dir))
            cached = LocalISICDataset(table, spec, Augmentation(chain), images)
            for key in [*range(len(table)), (3, 7), (20, 1), (3, 8)]:
                (image, *rest), (expected, *others) = cached[key], plain[key]
                assert torch.equal(image, expected) and rest == others, (text, cache, key)
    assert len(files(settings, "*.images")) == len(specs)


def test_a_mask_is_compared_with_the_image_as_it_was_decoded(settings, tmp_path):
    table = load_table(settings)
    mask = write_image(tmp_path / "mask.png")
    table = table.with_rows(table.rows.assign(mask=str(mask), group=0))
    former = Augmentation("skin_former(probability=(1, 1, 1, 1))")
    images = prepare_images(table, SPEC, settings)
    cached, plain = LocalISICDataset(table, SPEC, former, images), LocalISICDataset(table, SPEC)
    assert cached.prepared(4)[1] == plain.prepared(4)[1] == (40, 32)
    cached[4, 1]
    smaller = write_image(tmp_path / "x" / "mask.png").rename(tmp_path / "other.png")
    smaller.write_bytes((tmp_path / "mask.png").read_bytes())
    from cv2 import imwrite

    imwrite(str(smaller), np.full((32, 32), 255, np.uint8))  # the size of the prepared image
    table = table.with_rows(table.rows.assign(mask=str(smaller)))
    with pytest.raises(UserError, match=r"other.png: 32x32 .* 32x40"):
        LocalISICDataset(table, SPEC, former, images)[4, 1]


@pytest.mark.slow
def test_loading_processes_and_other_programs_read_the_same_images(settings):
    table = load_table(settings)
    order = SAMPLERS.build("random", labels=table.labels)
    chain = Augmentation("dermatoscopy")

    def all_of(images, num_workers):
        batches = EpochBatches(order, 5, seed=4)
        rows = (table, SPEC)
        loader = train_loader(*rows, chain, batches, num_workers, False, images)
        return [*loader, *loader, *eval_loader(*rows, 7, num_workers, False, prepared=images)]

    expected = all_of(None, 0)
    for cache in ("disk", "ram"):
        images = prepare_images(table, SPEC, Data(cache=cache, cache_dir=settings.cache_dir))
        for copy in (images, deepcopy(images)):
            for batch, other in zip(expected, all_of(copy, 1), strict=True):
                assert all(map(torch.equal, batch, other))


def test_a_second_run_reads_no_image(settings, monkeypatch, long_ago):
    first = load_table(settings)
    images = prepare_images(first, SPEC, settings)

    def none(*_):
        raise AssertionError("an image was read")

    monkeypatch.setattr(checked, "digest_and_fault", none)
    monkeypatch.setattr(prepared, "file_bytes", none)
    again = load_table(settings)
    assert again.rows.equals(first.rows)
    assert prepare_images(again, SPEC, settings).path == images.path
    with pytest.raises(AssertionError):
        load_table(Data(data_path=settings.data_path))  # without a cache nothing is remembered


def test_a_first_run_decodes_each_image_once(settings, monkeypatch):
    """The check prepares it as well; what is in the file is the same."""
    expected = prepare_images(load_table(settings), SPEC, settings).path
    content = expected.read_bytes()
    shutil.rmtree(settings.cache_dir)
    broken = Path(load_table(Data(data_path=settings.data_path)).rows["image"][7])
    decoded, real = [], prepared.file_bytes
    monkeypatch.setattr(prepared, "file_bytes", lambda path: decoded.append(path) or real(path))
    table = load_table(settings, first_reading(settings, SPEC))
    assert len(decoded) == len(set(decoded)) == 24 and files(settings, ".*") != []
    other = parse_preprocessing("resize(size=40) || normalize(stats='half')", 32)
    images = prepare_images(table, SPEC, settings)
    assert len(decoded) == 24
    assert images.path == expected and expected.read_bytes() == content
    assert files(settings, ".*") == []
    prepare_images(table, other, settings)
    assert len(decoded) == 48, "of other steps it knows nothing"
    assert first_reading(Data(cache="ram"), SPEC) is None
    # an image that is none is named; a disk without room at the check costs a second decoding
    broken.write_bytes(b"no image")
    for path in Path(settings.cache_dir).iterdir():
        path.unlink()
    reading = first_reading(settings, SPEC)
    reading._is_begun = True
    found = without_bad_images(table, 1, check=reading)
    assert [name for name, _ in found.bad] == [str(broken)] and len(found) == 23
    assert prepare_images(found, SPEC, settings).is_whole and files(settings, ".*") == []


def test_bytes_decide_and_not_times(settings, monkeypatch, long_ago):
    table = load_table(settings)
    first = prepare_images(table, SPEC, settings).path
    path, other = (Path(p) for p in table.rows["image"][[2, 3]])
    for stamp in (5, 6):  # times alone: the same images
        os.utime(path, ns=(stamp, stamp))
        assert prepare_images(load_table(settings), SPEC, settings).path == first
    times = path.stat().st_mtime_ns, path.stat().st_size
    content = bytearray(other.read_bytes())
    content = content.ljust(times[1], b"\0")[: times[1]] if len(content) < times[1] else content
    path.write_bytes(content)  # as large where it can be, and as old: only its ctime tells
    os.utime(path, ns=(times[0], times[0]))
    images = prepare_images(load_table(settings), SPEC, settings)
    assert images.path != first
    changed = LocalISICDataset(table, SPEC, prepared=images)
    again = LocalISICDataset(load_table(settings), SPEC, prepared=images)
    assert torch.equal(again[2][0], again[3][0])
    assert not torch.equal(changed[3][0], changed[4][0])


def test_what_changed_a_moment_ago_is_checked_again(settings, monkeypatch):
    load_table(settings)  # its files were just written: their ctime is of this moment
    read = []
    real = checked.digest_and_fault
    monkeypatch.setattr(checked, "digest_and_fault", lambda path: read.append(path) or real(path))
    load_table(settings)
    assert len(read) == 24


def test_a_record_that_is_spoilt_or_of_another_decoder_is_not_believed(
    settings, monkeypatch, long_ago
):
    expected = load_table(settings).rows
    (record,) = Path(settings.cache_dir).glob("checked_*.json")
    whole, read = record.read_text(), []
    real = checked.digest_and_fault
    monkeypatch.setattr(checked, "digest_and_fault", lambda path: read.append(path) or real(path))
    spoilt = [whole[:-9], "[]", "{}", whole.replace("OpenCV", "OpenCV 3"), '{"format": 1}']
    spoilt += [whole.replace('"files": {', '"files": {"/x": 3, ')]
    for n_times, text in enumerate(spoilt, 1):
        record.write_text(text)
        assert load_table(settings).rows.equals(expected)
        assert len(read) == 24 * n_times, text
    load_table(settings)
    assert len(read) == 24 * len(spoilt)


def test_faulty_files_are_named_every_time(settings, long_ago):
    table = load_table(settings)
    path = Path(table.rows["image"][1])
    path.write_bytes(b"no image")
    for _ in range(2):
        found = without_bad_images(table, 1, Path(settings.cache_dir))
        assert [name for name, _ in found.bad] == [str(path)]
        assert len(found) == 23


def test_an_image_that_changes_after_its_check_ends_the_preparation(settings):
    table = load_table(settings)
    path = Path(table.rows["image"][5])
    path.write_bytes(path.read_bytes() + b"\0")
    for cache in ("disk", "ram"):
        with pytest.raises(UserError, match=f"{path}: changed"):
            prepare_images(table, SPEC, Data(cache=cache, cache_dir=settings.cache_dir))
    assert files(settings, "*.images") == files(settings, ".*") == []


def test_half_a_file_is_not_used(settings):
    table = load_table(settings)
    whole = prepare_images(table, SPEC, settings)
    path = whole.path
    content = path.read_bytes()
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    for spoilt in (content[:-1], b""):
        path.write_bytes(spoilt)
        path.with_name(f".{path.name}.{os.uname().nodename}-1.tmp").write_bytes(content[:99])
        assert prepare_images(table, SPEC, settings).path.read_bytes() == content


def test_without_room_nothing_is_written(settings, monkeypatch):
    table = load_table(settings)
    monkeypatch.setattr(prepared, "free_bytes", lambda: 50_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 50_000}))
    for cache in ("disk", "ram"):
        with pytest.raises(UserError, match=rf"--cache {cache}: 24 images take 7.39e-05 GB"):
            prepare_images(table, SPEC, Data(cache=cache, cache_dir=settings.cache_dir))
    assert files(settings, "*.images") == []


def test_images_that_keep_their_size_cannot_be_cached(settings):
    spec = parse_preprocessing("remove_hair || resize | normalize(stats='half')", 32)
    with pytest.raises(UserError, match=r"--cache disk: .*\|\|"):
        prepare_images(load_table(settings), spec, settings)


def test_a_file_that_is_not_on_this_machine_means_decoding_again(settings, caplog):
    table = load_table(settings)
    images = prepare_images(table, SPEC, settings)
    images.path.unlink()
    cached, plain = LocalISICDataset(table, SPEC, prepared=images), LocalISICDataset(table, SPEC)
    assert torch.equal(cached[3][0], plain[3][0])
    assert str(images.path) in caplog.text


def test_memory_ends_with_the_images(settings):
    table = load_table(settings)
    images = prepare_images(table, SPEC, Data(cache="ram"))
    path = images.path
    assert path.exists() and images.is_whole
    images.name = "of another program with our number on another machine"
    assert not images.is_whole
    del images
    assert not path.exists()


SLOWLY = """
import sys, time
from src.core.settings import Data
from src.loading import prepared
from src.datasets.load import load_table
from src.preprocess.spec import parse_preprocessing
real = prepared.file_bytes
def slow(path):
    print("decodes", flush=True)
    time.sleep(float(sys.argv[3]))
    return real(path)
prepared.file_bytes = slow
settings = Data(data_path=sys.argv[1], cache="disk", cache_dir=sys.argv[2])
spec = parse_preprocessing("resize || normalize(stats='imagenet')", 32)
prepared.prepare_images(load_table(settings), spec, settings)
"""


def preparing(settings, pause):
    command = [sys.executable, "-c", SLOWLY, settings.data_path, settings.cache_dir, str(pause)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_of_two_at_once_one_prepares_and_a_killed_one_leaves_nothing(settings):
    killed = preparing(settings, 60)
    killed.stdout.readline()
    assert files(settings, ".*images.*tmp")
    killed.kill()
    killed.wait()
    killed.stdout.close()
    both = [preparing(settings, 0.2) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].count("decodes") for process in both]
    assert sorted(said) == [0, 24]
    assert [process.returncode for process in both] == [0, 0]
    assert files(settings, ".*") == []
    table, started = load_table(settings), time.monotonic()
    images = prepare_images(table, SPEC, settings)
    assert time.monotonic() - started < 60
    cached, plain = LocalISICDataset(table, SPEC, prepared=images), LocalISICDataset(table, SPEC)
    assert all(torch.equal(cached[row][0], plain[row][0]) for row in range(24))
