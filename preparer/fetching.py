"""All files of a source into a folder, with their digests in `SHA256SUMS`, and unpacked."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from preparer.download import NoNetworkError, Remote, ask, fetch, is_whole
from preparer.sources import Source
from preparer.unpack import is_archive, unpack
from src.core.cells import visible
from src.core.errors import UserError, require
from src.core.files import make_folder, write_text
from src.core.lease import leased
from src.core.progress import in_threads

SUMS = "SHA256SUMS"  # as sha256sum -c reads it
MANY = 20  # files from which on several are fetched at once


def listing(source: Source) -> str:
    """One line for each file of a source: bytes (`-` where unknown), name, address."""
    lines = [(r.size, r.name, r.url) for r in source.remotes(ask)]
    return "\n".join(f"{'-' if n is None else f'{n:,}':>16}  {a}  {b}" for n, a, b in lines)


def get(source: Source, folder: Path, unpacks: bool) -> int:
    """0 once the files are in the folder and, if wanted, unpacked; 1 where some are not.

    Raises `UserError` that says what to fetch by hand where the source does not answer.
    """
    make_folder(folder)
    with leased(folder / ".get_data.lock", f"the folder {folder}"):
        names, failed = _fetched(source, folder)
        for name, text in source.tables.items():
            write_text(folder / name, text)
        for name in filter(is_archive, map(Path, names if unpacks else [])):
            try:
                n_files = unpack(folder / name, folder)
                print(f"{name}: {n_files:,} files")
            except UserError as error:
                failed.append(str(error))
    for problem in failed:
        print(f"failed: {visible(problem)}", file=sys.stderr)
    print(f"{folder}: {len(names):,} files in place, {len(failed):,} failed")
    return 1 if failed else 0


def _fetched(source: Source, folder: Path) -> tuple[list[str], list[str]]:
    """(the names of the files in the folder, what is wrong with the others)."""
    try:
        remotes = source.remotes(ask)
    except UserError as error:
        there = [_in_folder(folder, name) for name in source.files]
        lacking = [name for name, file in zip(source.files, there, strict=True) if not file]
        if lacking or not there:
            raise UserError(f"{error}. {_by_hand(source, folder, lacking)}") from None
        print(f"{error}: the files in {folder} are not compared with the publisher's checksums")
        return there, []
    _refuse_clashes(remotes, (SUMS, *source.tables))
    sums = _Sums(folder / SUMS)

    def one(remote: Remote) -> str:
        try:
            path = folder / remote.name
            make_folder(path.parent)
            if not is_whole(remote, path, sums.known.get(remote.name, "")):
                sums.add(remote.name, fetch(remote, path, quiet=len(remotes) > MANY))
            return ""
        except NoNetworkError:
            raise
        except UserError as error:
            return f"{remote.name}: {error}" if remote.name not in str(error) else str(error)

    try:
        many = len(remotes) > MANY
        told = [*in_threads(one, remotes, "fetching", "file")] if many else [*map(one, remotes)]
    except NoNetworkError as error:
        lacking = [remote.name for remote in remotes if not (folder / remote.name).exists()]
        raise UserError(f"{error}. {_by_hand(source, folder, lacking)}") from None
    finally:
        sums.write()
    failed = [problem for problem in told if problem]
    if len(failed) == len(remotes):
        lacking = [remote.name for remote in remotes]
        raise UserError(f"{failed[0]}. {_by_hand(source, folder, lacking)}")
    return [r.name for r, problem in zip(remotes, told, strict=True) if not problem], failed


class _Sums:
    """The digests of files in a folder, by their names, in a file that grows as they come."""

    def __init__(self, path: Path):
        self._path = path
        lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        found = [re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line) for line in lines]
        self.known = {line[2]: line[1] for line in found if line}

    def add(self, name: str, sha256: str) -> None:
        """Note a file that was fetched."""
        self.known[name] = sha256
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{sha256}  {name}\n")

    def write(self) -> None:
        """Write each name once, in order."""
        if self.known:
            lines = (f"{digest}  {name}\n" for name, digest in sorted(self.known.items()))
            write_text(self._path, "".join(lines))


def _refuse_clashes(remotes: Sequence[Remote], taken: Sequence[str]) -> None:
    """Raise `UserError` where a server has two files of one name, or one with a name of ours."""
    names = [name.casefold() for name in taken]
    for remote in remotes:
        name = remote.name.casefold()
        is_ours = any(part.startswith(".") for part in name.split("/")) or name in names
        require(not is_ours, f"the source has a file '{visible(remote.name, 100)}': refused")
        names.append(name)


def _in_folder(folder: Path, name: str) -> str:
    """The name of a file, with the suffix that it has there; empty where there is none."""
    if (folder / name).is_file():
        return name
    alike = [p.name for p in folder.iterdir() if p.stem == name and p.is_file()]
    return min(alike, default="")


def _by_hand(source: Source, folder: Path, lacking: Sequence[str]) -> str:
    shown = ", ".join(visible(name, 80) for name in lacking[:5]) + ", ..." * (len(lacking) > 5)
    return (
        f"To fetch it by hand: open {source.page}, put {shown or 'the files'} into "
        f"{folder.absolute()}, and run this command again; what is there is kept"
    )
