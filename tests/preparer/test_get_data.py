"""Data sets are fetched whole or not at all, whatever the server does, and unpacked in order."""

import hashlib
import io
import json
import random
import subprocess
import zipfile

import pytest

from preparer import download, get_data
from preparer.download import Remote, fetch
from preparer.sources import SOURCES
from src.core.errors import UserError
from tests.preparer.web import Page, serving

BODY = random.Random(0).randbytes(300_000)
MD5 = hashlib.md5(BODY).hexdigest()


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PAUSE_S", 0)
    monkeypatch.setattr(download, "CHUNK", 4096)
    monkeypatch.setattr(download, "TRIES", 3)
    with serving() as (web, address):
        web.address = address
        yield web


def run(source, folder, *flags):
    return get_data.main(["--source", source, "--output_dir", str(folder), *flags])


def zipped(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_a_download_that_breaks_off_goes_on_where_it_was(web, tmp_path):
    web.pages["/a.bin"] = Page(BODY, cut=70_000)
    remote = Remote("a.bin", f"{web.address}/a.bin", len(BODY), MD5)
    assert fetch(remote, tmp_path / "a.bin") == hashlib.sha256(BODY).hexdigest()
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    starts = [headers.get("Range") for headers in web.asked("/a.bin")]
    assert starts == [None, "bytes=70000-", "bytes=140000-", "bytes=210000-", "bytes=280000-"]
    assert {headers.get("If-Range") for headers in web.asked("/a.bin")[1:]} == {'"1"'}


def test_another_process_continues_and_a_changed_file_begins_anew(web, tmp_path):
    remote = Remote("a.bin", f"{web.address}/a.bin")
    part = tmp_path / "a.bin.part"
    for etag, others, n_asked in (('"1"', BODY, 1), ('"2"', BODY[::-1], 1), ("", BODY, 1)):
        part.write_bytes(BODY[:100_000])
        (tmp_path / "a.bin.part.tag").write_text('"1"' if etag else "")
        web.pages["/a.bin"], web.requests = Page(others, etag=etag or '"3"'), []
        fetch(remote, tmp_path / "a.bin")
        assert (tmp_path / "a.bin").read_bytes() == others, etag
        assert len(web.requests) == n_asked
        is_continued = etag == '"1"'
        assert (web.requests[0][1].get("Range") is not None) == bool(etag)
        assert not part.exists() or is_continued


def test_servers_of_other_habits(web, tmp_path):
    web.pages |= {
        "/no_range": Page(BODY, ranges=False),
        "/is_whole": Page(BODY),
        "/cut": Page(BODY, cut=1000, ranges=False),
        "/no_length": Page(BODY, has_length=False),
        "/busy": Page(status=503, headers={"Retry-After": "0"}),
    }
    for name in ("no_range", "is_whole"):
        part = tmp_path / f"{name}.part"
        part.write_bytes(BODY if name == "is_whole" else BODY[:5000])
        (tmp_path / f"{name}.part.tag").write_text('"1"')
        fetch(Remote(name, f"{web.address}/{name}"), tmp_path / name)
        assert (tmp_path / name).read_bytes() == BODY
    for name, told in {
        "cut": "no answer",
        "no_length": "does not tell the size",
        "busy": "answers 503",
        "absent": "it is not there .HTTP 404",
    }.items():
        with pytest.raises(UserError, match=told):
            fetch(Remote(name, f"{web.address}/{name}"), tmp_path / name)
        assert not (tmp_path / name).exists()


def test_a_file_that_is_another_is_not_kept(web, tmp_path, monkeypatch):
    web.pages["/a.bin"] = Page(BODY)
    url = f"{web.address}/a.bin?token=secret"
    web.pages["/a.bin?token=secret"] = Page(BODY)
    for size, md5, told in (
        (len(BODY), "0" * 32, "expected the MD5 000"),
        (len(BODY) - 1, "", "expected 299,999 bytes; the server has 300,000"),
        (len(BODY) + 1, "", "expected 300,001 bytes; the server has 300,000"),
    ):
        with pytest.raises(UserError, match=told) as error:
            fetch(Remote("a.bin", url, size, md5), tmp_path / "a.bin")
        assert "secret" not in str(error.value)
        assert [*tmp_path.iterdir()] == []
    monkeypatch.setattr(download, "SPARE_DISK", 1 << 62)
    with pytest.raises(UserError, match=r"bytes free, too few for a\.bin"):
        fetch(Remote("a.bin", url), tmp_path / "a.bin")


def test_addresses_that_are_not_of_the_web_are_refused(web, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("of this machine")
    for url in (secret.as_uri(), str(secret), "ftp://127.0.0.1/a", "http:///a"):
        with pytest.raises(UserError, match="begins with https"):
            fetch(Remote("a", url), tmp_path / "a")
        web.pages["/r"] = Page(status=302, headers={"Location": url})
        if url.startswith(("file", "ftp")):
            with pytest.raises(UserError, match=r"begins with https|it is refused \(HTTP 302\)"):
                fetch(Remote("a", f"{web.address}/r"), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_login_is_not_sent_on(web, tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "key")
    elsewhere = web.address.replace("127.0.0.1", "localhost")
    web.pages["/api/v1/datasets/download/o/acne"] = Page(
        status=302, headers={"Location": f"{elsewhere}/bucket"}
    )
    web.pages["/bucket"] = Page(zipped(**{"train/a.jpg": "a", "test/b.jpg": "b"}))
    source = f"kaggle(dataset='o/acne', server='{web.address}')"
    assert run(source, tmp_path / "out") == 0
    (first,), (second,) = web.asked("/api/v1/datasets/download/o/acne"), web.asked("/bucket")
    assert first["Authorization"] == "Basic c29tZWJvZHk6a2V5"
    assert "Authorization" not in second
    assert (tmp_path / "out" / "acne" / "train" / "a.jpg").read_text() == "a"
    assert "c29tZWJvZHk6a2V5" not in repr(SOURCES.build(source).remotes(None))
    for wrong in ("kaggle", "kaggle(dataset='../x/y')", "kaggle(dataset='a')"):
        with pytest.raises(UserError, match="kaggle: "):
            SOURCES.build(wrong)


def dataverse(web, **changes):
    parts = {f"part_{i}.zip": zipped(**{f"ISIC_{i}.jpg": f"image {i}"}) for i in (1, 2)}
    files = []
    for number, (name, body) in enumerate(parts.items()):
        data = {"id": number, "filename": name, "filesize": len(body)}
        data |= {"md5": hashlib.md5(body).hexdigest(), "contentType": "application/zip"}
        files.append({"label": name, "dataFile": data})
        web.pages[f"/api/access/datafile/{number}"] = Page(body)
    table = b"image_id,dx\nISIC_1,nv\n"
    data = {"id": 7, "filename": "meta.tab", "filesize": 5, "originalFileFormat": "text/csv"}
    data |= {"originalFileName": "meta.csv", "originalFileSize": len(table)}
    data |= {"checksum": {"type": "MD5", "value": hashlib.md5(table).hexdigest()}}
    files.append({"label": "meta.tab", "dataFile": data | changes})
    files.append({"label": "x.pdf", "dataFile": {"id": 8, "filename": "x.pdf", "md5": ""}})
    web.pages["/api/access/datafile/7?format=original"] = Page(table)
    listing = {"status": "OK", "data": {"latestVersion": {"files": files}}}
    where = "/api/datasets/:persistentId/?persistentId=doi:10.1/A/B"
    web.pages[where] = Page(json.dumps(listing).encode())
    names = [*parts, "meta.tab"]
    return f"dataverse(doi='doi:10.1/A/B', files={names}, server='{web.address}')"


def test_a_dataverse_is_fetched_checked_and_unpacked_once(web, tmp_path, capsys):
    source, out = dataverse(web), tmp_path / "out"
    assert run(source, out, "--list") == 0
    assert "part_1.zip" in capsys.readouterr().out
    assert not out.exists()
    assert run(source, out) == 0
    found = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    images = {"part_1/ISIC_1.jpg", "part_2/ISIC_2.jpg"}
    assert found == {"part_1.zip", "part_2.zip", "meta.csv", "SHA256SUMS"} | images
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=out, capture_output=True)
    assert done.returncode == 0
    n_asked = len(web.requests)
    assert run(source, out) == 0
    assert len(web.requests) == n_asked + 1, "only the list of files"
    (out / "part_1.zip").write_bytes(b"other")
    assert run(source, out) == 1, "all else is in place"
    assert "part_1.zip: is there, but expected" in capsys.readouterr().err


def test_answers_of_another_form_are_refused(web, tmp_path):
    for changes, told in {
        ("originalFileName", "../../meta.csv"): "has the path '../../meta.csv': refused",
        ("originalFileName", "/etc/meta.csv"): "refused",
        ("originalFileName", ".bashrc"): "has no file meta",
    }.items():
        with pytest.raises(UserError, match=told.replace(".", r"\.")):
            run(dataverse(web, **dict([changes])), tmp_path / "out")
    source = dataverse(web)
    where = next(path for path in web.pages if "persistentId=" in path)
    for body in (b"<html>", b'{"data": []}', b"[" * 100_000, b'{"data": {"latestVersion": 1}}'):
        web.pages[where] = Page(body)
        with pytest.raises(UserError, match="expected"):
            run(source, tmp_path / "out")


def isic_page(web, names, after=""):
    results = [
        {
            "isic_id": name,
            "copyright_license": "CC-0",
            "attribution": "=HYPERLINK(1)",
            "files": {"full": {"url": f"{web.address}/{name}.jpg", "size": 4}},
            "metadata": {"acquisition": {"pixels_x": 9}, "clinical": {"sex": "female"}},
        }
        for name in names
    ]
    return Page(json.dumps({"count": 3, "next": after or None, "results": results}).encode())


def test_the_isic_archive_is_read_page_by_page(web, tmp_path, capsys):
    first = "/api/v2/images/search/?query=diagnosis_3%3A%22Nevus%22&limit=100"
    names = [f"ISIC_{i:07}" for i in range(30)]
    web.pages[first] = isic_page(web, names[:20], f"{web.address}/two")
    web.pages["/two"] = isic_page(web, names[19:])
    web.pages |= {f"/{name}.jpg": Page(b"jpeg") for name in names}
    source = f"isic_archive(query='diagnosis_3:\"Nevus\"', server='{web.address}')"
    assert run(source, tmp_path) == 0
    assert sorted(p.stem for p in (tmp_path / "images").iterdir()) == names
    rows = (tmp_path / "metadata.csv").read_text().splitlines()
    assert rows[0] == "isic_id,attribution,copyright_license,pixels_x,sex"
    assert rows[1] == "ISIC_0000000,'=HYPERLINK(1),CC-0,9,female"
    assert len(rows) == 31
    # one image that fails leaves the others in place
    del web.pages["/ISIC_0000003.jpg"]
    (tmp_path / "images" / "ISIC_0000003.jpg").unlink()
    assert run(source, tmp_path) == 1
    assert "ISIC_0000003.jpg: " in capsys.readouterr().err
    for page, told in (
        (isic_page(web, ["../../x"]), "is no id of the archive"),
        (isic_page(web, names[:1], "http://example.org/two"), "on another server"),
    ):
        web.pages[first] = page
        with pytest.raises(UserError, match=told):
            run(source, tmp_path)


def test_without_an_answer_it_says_what_to_fetch_and_takes_what_was_put_there(tmp_path, capsys):
    """The local folder: a data set that came on a disk."""
    closed = "http://127.0.0.1:9"
    names = ["part_1.zip", "meta"]
    source = f"dataverse(doi='doi:10.1/A/B', files={names}, server='{closed}')"
    with pytest.raises(UserError) as error:
        run(source, tmp_path)
    told = str(error.value)
    for part in (f"{closed}/dataset.xhtml?persistentId=doi:10.1/A/B", "part_1.zip, meta", tmp_path):
        assert str(part) in told
    assert told.isprintable()
    (tmp_path / "part_1.zip").write_bytes(zipped(**{"ISIC_1.jpg": "image"}))
    with pytest.raises(UserError, match="put meta into"):
        run(source, tmp_path)
    (tmp_path / "meta.tab").write_text("image_id\tdx\n")
    assert run(source, tmp_path) == 0
    assert "not compared with the publisher's checksums" in capsys.readouterr().out
    assert (tmp_path / "part_1" / "ISIC_1.jpg").read_text() == "image"
    source = f"files(urls=['{closed}/a.zip', '{closed}/b.csv'])"
    with pytest.raises(UserError, match=r"put a\.zip, b\.csv into"):
        run(source, tmp_path)
    (tmp_path / "a.zip").write_bytes(zipped(**{"a/1.txt": "one"}))
    with pytest.raises(UserError, match=r"put b\.csv into"):
        run(source, tmp_path)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PAUSE_S", 0)


def test_every_named_source_says_where_a_person_finds_it():
    for name in ("ham10000", "isic2019", "isic2020", "dermnet"):
        source = SOURCES.build(name)
        assert source.page.startswith("https://")
        assert source.files
    remotes = SOURCES.build("isic2019").remotes(None)
    assert remotes[0].name == "ISIC_2019_Training_Input.zip"
    assert all(r.url.startswith("https://") for r in remotes)


def test_two_files_of_one_name_are_refused(web, tmp_path):
    for names in (("a/x.csv", "b/X.csv"), ("a/SHA256SUMS",), ("a/.bashrc",)):
        urls = [f"{web.address}/{name}" for name in names]
        with pytest.raises(UserError, match="the source has a file"):
            run(f"files(urls={urls})", tmp_path)
