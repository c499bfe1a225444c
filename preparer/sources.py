"""Where data sets are published, and which files of theirs there are to fetch."""

import base64
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pandas as pd

from preparer.download import Remote
from preparer.unpack import safe_path
from src.core.cells import csv_text, visible
from src.core.errors import require
from src.core.registry import Registry

SOURCES = Registry("source")
MAX_IMAGES = 2_000_000
CHALLENGE = "https://isic-challenge-data.s3.amazonaws.com"
Ask = Callable[[str], Any]  # the JSON at an address


@dataclass(frozen=True)
class Source:
    """A published data set.

    `page` is where a person fetches it, `files` the names of its files where they are known
    beforehand, `remotes` finds them, and `tables` (text by name) are written beside them.
    """

    page: str
    remotes: Callable[[Ask], list[Remote]]
    files: tuple[str, ...] = ()
    tables: dict[str, str] = field(default_factory=dict)


@SOURCES.register
def dataverse(
    *, doi: str, files: list | None = None, server: str = "https://dataverse.harvard.edu"
) -> Source:
    """A data set of a Dataverse, by its `doi:...`; `files` leaves out all others."""
    where = f"persistentId={quote(doi, safe=':/')}"
    wanted = tuple(files or ())

    def remotes(ask: Ask) -> list[Remote]:
        said = ask(f"{server}/api/datasets/:persistentId/?{where}")
        entries = _inside(said, server, "data", "latestVersion", "files")
        found = [_dataverse_file(entry, server) for entry in entries]
        stems = {PurePosixPath(name).stem for name in wanted}  # .tab may be .csv
        kept = [r for r in found if not wanted or PurePosixPath(r.name).stem in stems]
        lacking = stems - {PurePosixPath(r.name).stem for r in kept}
        require(not lacking, f"{server}: {doi} has no file {', '.join(sorted(lacking))}")
        return kept

    return Source(f"{server}/dataset.xhtml?{where}", remotes, wanted)


def _dataverse_file(entry: Any, server: str) -> Remote:
    """Tables are taken as they were uploaded, which is what their checksum is of."""
    data = _inside(entry, server, "dataFile")
    is_table = bool(data.get("originalFileFormat"))
    name = str((is_table and data.get("originalFileName")) or _inside(data, server, "filename"))
    folder = str(entry.get("directoryLabel") or "")
    size = data.get("originalFileSize" if is_table else "filesize")
    checksum = data.get("checksum") or {"type": "MD5", "value": data.get("md5", "")}
    number = int(_inside(data, server, "id"))
    return Remote(
        name=safe_path(f"{folder}/{name}" if folder else name, server).as_posix(),
        url=f"{server}/api/access/datafile/{number}" + "?format=original" * is_table,
        size=size if isinstance(size, int) else None,
        md5=str(checksum.get("value", "")) if checksum.get("type") == "MD5" else "",
    )


@SOURCES.register
def kaggle(
    *, dataset: str = "", competition: str = "", server: str = "https://www.kaggle.com"
) -> Source:
    """A data set (`owner/name`) or competition of Kaggle, as one archive.

    The environment variables KAGGLE_USERNAME and KAGGLE_KEY are the login, if it wants one.
    """
    require(
        bool(dataset) != bool(competition), "kaggle: expected dataset='...' or competition='...'"
    )
    given = dataset or competition
    is_name = re.fullmatch(r"[\w-]+/[\w-]+" if dataset else r"[\w-]+", given)
    wanted = "'owner/name'" if dataset else "its name in the address"
    require(bool(is_name), f"kaggle: {visible(given, 60)}: expected {wanted}")
    api = f"datasets/download/{given}" if dataset else f"competitions/data/download-all/{given}"
    page = f"datasets/{given}" if dataset else f"competitions/{given}/data"
    file = f"{given.rpartition('/')[2]}.zip"
    user, key = (os.environ.get(f"KAGGLE_{name}", "") for name in ("USERNAME", "KEY"))
    login = base64.b64encode(f"{user}:{key}".encode()).decode()
    secrets = {"Authorization": f"Basic {login}"} if user and key else {}
    remote = Remote(file, f"{server}/api/v1/{api}", secrets=secrets)
    return Source(f"{server}/{page}", lambda ask: [remote], (file,))


@SOURCES.register
def isic_archive(
    *, query: str = "", collections: str = "", server: str = "https://api.isic-archive.com"
) -> Source:
    """Images of the ISIC archive with their `metadata.csv`, by its search and collections.

    `query` is in the archive's language (`diagnosis_3:"Melanoma NOS"`), `collections` are numbers.
    """
    terms = {"query": query, "collections": collections, "limit": "100"}
    address = f"{server}/api/v2/images/search/?{urlencode({k: v for k, v in terms.items() if v})}"
    tables: dict[str, str] = {}

    def remotes(ask: Ask) -> list[Remote]:
        found = list(_isic_images(ask, address, server))
        require(bool(found), f"{server}: no image fits the query")
        tables["metadata.csv"] = csv_text(pd.DataFrame([row for _, row in found]))
        return [remote for remote, _ in found]

    return Source("https://gallery.isic-archive.com", remotes, tables=tables)


def _isic_images(ask: Ask, address: str, server: str) -> Iterator[tuple[Remote, dict]]:
    """(image, row of metadata) of each result, page after page."""
    seen: set[str] = set()
    while address:
        said = ask(address)
        for result in _inside(said, server, "results"):
            name, full = (
                _inside(result, server, "isic_id"),
                _inside(result, server, "files", "full"),
            )
            is_id = isinstance(name, str) and re.fullmatch(r"ISIC_\d{7}", name)
            require(bool(is_id), f"{server}: {visible(name, 60)} is no id of the archive")
            if name in seen:
                continue
            seen.add(name)
            require(len(seen) <= MAX_IMAGES, f"{server}: over {MAX_IMAGES:,} images")
            size = full.get("size")
            url = str(_inside(full, server, "url"))
            remote = Remote(f"images/{name}.jpg", url, size if isinstance(size, int) else None)
            told = {k: result.get(k) for k in ("attribution", "copyright_license")}
            row = {"isic_id": name} | told
            for part in ("acquisition", "clinical"):
                more = (result.get("metadata") or {}).get(part) or {}
                row |= {str(key): value for key, value in more.items()}
            yield remote, row
        address = said.get("next") or ""
        is_same = not address or urlsplit(str(address)).netloc == urlsplit(server).netloc
        require(is_same, f"{server}: its next page is on another server")


@SOURCES.register
def files(*, urls: list, page: str = "") -> Source:
    """Files at these addresses, by their last names."""
    require(all(isinstance(url, str) for url in urls), "files(urls=...): expected addresses")
    names = [PurePosixPath(urlsplit(url).path).name for url in urls]
    remotes = [
        Remote(safe_path(name, url).as_posix(), url) for name, url in zip(names, urls, strict=True)
    ]
    return Source(page or " ".join(urls), lambda ask: remotes, tuple(names))


@SOURCES.register
def ham10000() -> Source:
    """HAM10000 of the Harvard Dataverse: two archives of images and the metadata."""
    parts = [f"HAM10000_images_part_{part}.zip" for part in (1, 2)]
    source = dataverse(doi="doi:10.7910/DVN/DBW86T", files=[*parts, "HAM10000_metadata"])
    return replace(source, files=(*parts, "HAM10000_metadata"))


@SOURCES.register
def isic2019() -> Source:
    """The training set of the ISIC 2019 challenge."""
    start = f"{CHALLENGE}/2019/ISIC_2019_Training_"
    names = ("Input.zip", "GroundTruth.csv", "Metadata.csv")
    return files(urls=[start + name for name in names], page=f"{_ISIC_PAGE}#2019")


@SOURCES.register
def isic2020() -> Source:
    """The training set of the ISIC 2020 challenge, with its list of duplicates."""
    start = f"{CHALLENGE}/2020/ISIC_2020_Training_"
    names = ("JPEG.zip", "GroundTruth_v2.csv", "Duplicates.csv")
    return files(urls=[start + name for name in names], page=f"{_ISIC_PAGE}#2020")


_ISIC_PAGE = "https://challenge.isic-archive.com/data/"


@SOURCES.register
def dermnet() -> Source:
    """DermNet's photographs of Kaggle, whose acne is the eighth class beside HAM10000."""
    return kaggle(dataset="shubhamgoel27/dermnet")


def _inside(value: Any, server: str, *keys: str) -> Any:
    """What an answer has at these keys. Raises `UserError` where it has another form."""
    for key in keys:
        is_there = isinstance(value, dict) and key in value
        require(is_there, f"{server}: expected '{key}' in its answer: its form has changed")
        value = value[key]
    return value
