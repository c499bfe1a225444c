"""Archives are unpacked as they are, or refused before anything is written."""

import bz2
import gzip
import io
import stat
import tarfile
import zipfile
import zlib

import pytest

from preparer import unpack as module
from preparer.unpack import archive_stem, is_archive, unpack
from src.core.errors import UserError

ESCAPES = (
    *("../out.txt", "a/../../out.txt", "/tmp/out.txt", "a//b.txt", "./../out.txt", "a/./b.txt"),
    *("C:/out.txt", "c:out.txt", "..\\out.txt", "a\\..\\..\\out.txt", "\\\\host\\share\\out.txt"),
    *("a/\x01b.txt", "new\nline.txt", "a/" * 40 + "deep.txt", "n" * 300),
)


def make_zip(path, files, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo("x")
            entry.filename = name  # as it is, with backslashes
            entry.compress_type = kind
            archive.writestr(entry, content)
    return path


def tar_entry(name, content=b"", kind=tarfile.REGTYPE, link=""):
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.linkname = len(content), kind, link
    return entry, io.BytesIO(content)


def make_tar(path, entries, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for entry, content in entries:
            archive.addfile(entry, content)
    return path


def tree(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def refused(archive, told, folder):
    """The archive is refused and nothing is written, here or elsewhere."""
    with pytest.raises(UserError, match=told) as error:
        unpack(archive, folder)
    assert str(error.value).isprintable()
    assert tree(folder) == {}
    assert [*folder.parent.rglob("out.txt")] == []


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "in" / "out"
    folder.mkdir(parents=True)
    return folder


def test_an_archive_is_unpacked_into_a_folder_of_its_own(tmp_path, out):
    flat = {"1.jpg": b"one", "ü 2.jpg": b"two"}
    nested = {f"train/{name}": content for name, content in flat.items()} | {"test/3.jpg": b"3"}
    own = {f"Input/{name}": content for name, content in flat.items()}
    notes = {"__MACOSX/._1.jpg": b"x", ".DS_Store": b"x"}
    for number, (files, prefix) in enumerate(((flat, True), (nested, True), (own, False))):
        tars = [tar_entry(f"./{name}", content) for name, content in files.items()]
        for name in ("a.ZIP", "b.tar", "c.tar.gz", "d.tgz", "e.tar.bz2", "f.tar.xz"):
            folder = out / f"{number} {name}"
            path = tmp_path / name
            mode = {"tar": "w", "gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}
            if name == "a.ZIP":
                make_zip(path, files | notes)
            else:
                make_tar(path, tars, mode[name.rpartition(".")[2]])
                [content.seek(0) for _, content in tars]
            assert unpack(path, folder) == len(files)
            stem = f"{archive_stem(path)}/" if prefix else ""
            wanted = {f"{stem}{name}": content for name, content in files.items()}
            assert tree(folder) == wanted, name
            assert unpack(path, folder) == len(files), "again"
            assert tree(folder) == wanted


def test_paths_that_lead_elsewhere_are_refused(tmp_path, out):
    for name in ESCAPES:
        archive = make_zip(tmp_path / "a.zip", {"fine.txt": "fine", name: "escaped"})
        refused(archive, "refused", out)
        archive = make_tar(tmp_path / "a.tgz", [tar_entry("fine.txt"), tar_entry(name, b"escaped")])
        refused(archive, "refused", out)
    entry = zipfile.ZipInfo("cut.txt")
    with zipfile.ZipFile(tmp_path / "nul.zip", "w") as archive:
        archive.writestr(entry, "x")
    content = (tmp_path / "nul.zip").read_bytes().replace(b"cut.txt", b"c\0t.txt")
    (tmp_path / "nul.zip").write_bytes(content)
    refused(tmp_path / "nul.zip", "refused", out)


def test_links_and_devices_are_refused(tmp_path, out):
    secret = tmp_path / "secret"
    secret.write_text("x")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        link = tar_entry("l", kind=kind, link=str(secret))
        refused(make_tar(tmp_path / "a.tar", [tar_entry("a"), link], "w"), "link or device", out)
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO):
        entry = zipfile.ZipInfo("l")
        entry.external_attr = (kind | 0o777) << 16
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a", "a")
            archive.writestr(entry, str(secret))
        refused(tmp_path / "a.zip", "link or device", out)


def test_links_in_the_folder_lead_no_file_out_of_it(tmp_path, out):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    archive = make_zip(tmp_path / "a.zip", {"sub/a.txt": b"new", "b.txt": b"new"})
    (out / "a").mkdir()
    (out / "a" / "sub").symlink_to(elsewhere)
    with pytest.raises(UserError, match="leads out of"):
        unpack(archive, out)
    assert tree(elsewhere) == {}
    (out / "a" / "sub").unlink()
    (out / "a" / "b.txt").symlink_to(elsewhere / "b.txt")
    (elsewhere / "b.txt").write_text("new")
    with pytest.raises(UserError, match=r"b\.txt: is there with other content"):
        unpack(archive, out)
    assert (elsewhere / "b.txt").read_text() == "new"


def test_names_that_are_one_on_some_disks_are_refused(tmp_path, out):
    for names in (("a.jpg", "A.JPG"), ("ü.jpg", "u\u0308.jpg"), ("a", "a/b"), ("a/b", "a")):
        refused(make_zip(tmp_path / "a.zip", dict.fromkeys(names, "x")), "twice", out)
    tars = [tar_entry("a", b"1"), tar_entry("a", b"2")]
    refused(make_tar(tmp_path / "a.tgz", tars), "twice", out)


def test_bombs_are_refused(tmp_path, out, monkeypatch):
    monkeypatch.setattr(module, "FREE_RATIO_BYTES", 1_000_000)
    zeros = bytes(2_000_000)
    refused(make_zip(tmp_path / "a.zip", {"zeros": zeros}), "would become over", out)
    tar = make_tar(tmp_path / "a.tgz", [tar_entry("zeros", zeros)])
    refused(tar, "would become over", out)
    monkeypatch.setattr(module, "MAX_MEMBERS", 10)
    many = {f"{i}": "" for i in range(11)}
    refused(make_zip(tmp_path / "m.zip", many), "over 10 files", out)


def test_a_member_larger_than_it_says_is_refused(tmp_path, out):
    archive = make_zip(tmp_path / "a.zip", {"b.txt": b"x" * 5000}, zipfile.ZIP_DEFLATED)
    content = archive.read_bytes()
    size = (5000).to_bytes(4, "little")
    assert content.count(size) == 2
    archive.write_bytes(content.replace(size, (50).to_bytes(4, "little")))
    refused(archive, "cannot be unpacked|damaged", out)


def test_overlapping_members_are_refused(tmp_path, out):
    archive = make_zip(tmp_path / "a.zip", {"one.txt": b"x" * 900, "two.txt": b"y"}, 0)
    content = bytearray(archive.read_bytes())
    at = content.rfind(b"PK\x01\x02", 0, content.rfind(b"PK\x01\x02"))  # the first's entry
    second = content.rfind(b"PK\x01\x02")
    content[second + 20 : second + 28] = content[at + 20 : at + 28]
    archive.write_bytes(content)
    refused(archive, "overlap|cannot be unpacked", out)


def test_a_header_of_any_size_does_not_fill_the_memory(tmp_path, out):
    entry, _ = tar_entry("a")
    entry.type, entry.size = tarfile.XHDTYPE, 1 << 40
    block = entry.tobuf(tarfile.GNU_FORMAT)
    for name, pack in (("a.tar", bytes), ("a.tar.gz", gzip.compress), ("a.tar.bz2", bz2.compress)):
        (tmp_path / name).write_bytes(pack(block + bytes(1024)))
        refused(tmp_path / name, "cannot be unpacked", out)


def test_damaged_and_encrypted_archives_are_told(tmp_path, out):
    whole = make_zip(tmp_path / "w.zip", {"a": bytes(range(256)) * 50}).read_bytes()
    flipped = bytearray(whole)
    flipped[60] ^= 255
    gz = gzip.compress(b"no tar" * 500)
    tar = make_tar(tmp_path / "w.tgz", [tar_entry("a", bytes(range(256)) * 500)]).read_bytes()
    for name, content in {
        "cut.zip": whole[:-30],
        "flipped.zip": bytes(flipped),
        "empty.zip": b"",
        "page.zip": b"<html>log in</html>",
        "text.tgz": gz,
        "cut.tgz": tar[:-100],
        "short.tar": b"x" * 10,
        "none.zip": b"PK\x05\x06" + bytes(18),
    }.items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, f"{name}: (cannot be unpacked|damaged|holds no file)", out)
    encrypted = bytearray(whole)
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.find(magic) + place] |= 1
    (tmp_path / "e.zip").write_bytes(encrypted)
    refused(tmp_path / "e.zip", "is encrypted", out)


def test_what_is_there_with_other_content_is_not_lost(tmp_path, out):
    archive = make_zip(tmp_path / "a.zip", {"1.txt": b"one", "2.txt": b"two"})
    (out / "a").mkdir()
    (out / "a" / "2.txt").write_text("own")
    with pytest.raises(UserError, match=r"2\.txt: is there with other content"):
        unpack(archive, out)
    assert tree(out) == {"a/1.txt": b"one", "a/2.txt": b"own"}
    (out / "a" / "2.txt").unlink()
    (out / "a" / "2.txt").mkdir()
    with pytest.raises(UserError, match=r"2\.txt"):
        unpack(archive, out)
    assert zlib.crc32(b"one") == zlib.crc32((out / "a" / "1.txt").read_bytes())


def test_archives_are_known_by_their_names(tmp_path):
    names = ("a.zip", "a.TAR.GZ", "b.tgz", "c.tar")
    assert all(is_archive(tmp_path / name) for name in names)
    assert not any(is_archive(tmp_path / name) for name in ("a.csv", "zip", "a.gz"))
    assert [archive_stem(tmp_path / name) for name in names] == ["a", "a", "b", "c"]
