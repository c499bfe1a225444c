"""The commands that the documentation shows, and what reads them in place of their programs."""

import argparse
import importlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from src.core.options import parse_options

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")))
    if path.name != "CHANGELOG.md"
]
PROGRAMS = {  # what `pip install` puts on the path
    "melanoma-train": "src.scripts.melanoma_train",
    "melanoma-eval": "src.scripts.melanoma_eval",
    "melanoma-predict": "src.scripts.predict",
}
LAUNCHERS = ("./train.sh", "./test.sh")


@dataclass(frozen=True)
class Command:
    """One documented command: its page, its line and the words that a shell makes of it."""

    page: str
    text: str
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """The module of this repository that it starts, or "" where it starts something else."""
        first, *rest = self.words
        if first in PROGRAMS:
            return PROGRAMS[first]
        if first in LAUNCHERS:
            return "src.scripts.melanoma_train"
        if first != "python":
            return ""
        if rest[0].endswith(".pyz"):  # one that `package_site` makes of the command of its name
            return f"src.scripts.{rest[0].removesuffix('.pyz')}"
        name = rest[1] if rest[0] == "-m" else rest[0].removesuffix(".py").replace("/", ".")
        return name if (ROOT / f"{name.replace('.', '/')}.py").is_file() else ""

    @property
    def argv(self) -> list[str]:
        """The arguments of `program`."""
        start = {"python": 3 if self.words[1] == "-m" else 2}.get(self.words[0], 1)
        return list(self.words[start:])


def read(page: str, section: str = "") -> str:
    """The text of a page, or of its section with this title."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if not section:
        return text
    (found,) = [part for part in text.split("\n## ")[1:] if part.partition("\n")[0] == section]
    return found


def blocks(page: str, section: str = "", language: str = "bash") -> list[str]:
    """The blocks of code of a page, or of one section."""
    return re.findall(rf"^```{language}\n(.*?)^```", read(page, section), re.DOTALL | re.MULTILINE)


def commands(page: str, section: str = "") -> list[Command]:
    """The commands of the shell that a page shows, in their order."""
    found = []
    for block in blocks(page, section):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split(" && "):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                    words = words[1:]
                if words:
                    found.append(Command(page, " ".join(line.split()), tuple(words)))
    return found


def parse(command: Command) -> None:
    """Read a command as its program would, without running it. Raises for what it would refuse."""
    if command.program:
        parse_own(command.program, command.argv)
        return
    name, *argv = command.words[2:] if command.words[:2] == ("python", "-m") else command.words
    assert name in READERS, f"{command.page}: nothing reads {command.text}"
    READERS[name](argv)


def parse_own(name: str, argv: list[str]) -> None:
    """Read the flags of a module of this repository."""
    module = importlib.import_module(name)
    if not hasattr(module, "Options") and not hasattr(module, "parse"):  # three lines at the root
        module = importlib.import_module(f"src.scripts.{name}")
    if hasattr(module, "parse"):
        module.parse(argv)
    else:
        parse_options(argv, module.__doc__, module.Options)


class _Strict(argparse.ArgumentParser):
    def error(self, message):
        raise AssertionError(message)


def _parse_make(argv: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert argv and set(argv) <= {*targets}, argv


def _parse_pip(argv: list[str]) -> None:
    from pip._internal.commands import create_command

    extras = (ROOT / "pyproject.toml").read_text()
    options, wanted = create_command(argv[0]).parse_args(argv[1:])
    for path in (*options.requirements, *options.constraints):
        assert (ROOT / path).is_file(), path
    for name in filter(None, re.findall(r"\[([\w,]+)\]", " ".join(wanted))):
        assert all(f"\n{extra} = [" in extras for extra in name.split(",")), name


def _parse_torchrun(argv: list[str]) -> None:
    from torch.distributed.run import get_args_parser

    given = get_args_parser().parse_args(argv)
    rest = [word for word in given.training_script_args if word != "--"]
    script = given.training_script
    if script == "--":
        script, *rest = rest
    parse_own(script.removesuffix(".py"), rest)


def _parse_conda(argv: list[str]) -> None:
    name = re.search(r"^name: (.*)$", (ROOT / "environment.yml").read_text(), re.MULTILINE)[1]
    assert argv in (["env", "create", "-f", "environment.yml"], ["activate", name]), argv


def _parse_docker(argv: list[str]) -> None:
    parser = _Strict(allow_abbrev=False)
    action = parser.add_subparsers(required=True)
    build = action.add_parser("build")
    build.add_argument("-t", required=True)
    build.add_argument("-f", required=True)
    build.add_argument("--target")
    build.add_argument("context")
    run = action.add_parser("run")
    for names in (("--rm",), ("-it",)):
        run.add_argument(*names, action="store_true")
    for names in (("--gpus",), ("--shm-size",), ("--entrypoint",)):
        run.add_argument(*names)
    for names in (("-v",), ("-p",), ("-e",)):
        run.add_argument(*names, action="append", default=[])
    run.add_argument("image")
    run.add_argument("argv", nargs=argparse.REMAINDER)
    given = parser.parse_args(argv)
    if argv[0] == "build":
        assert (ROOT / given.f).is_file() and (ROOT / given.context).is_dir()
        stages = re.findall(r"^FROM \S+ AS (\S+)", (ROOT / given.f).read_text(), re.MULTILINE)
        assert given.target is None or given.target in stages, given.target
    elif given.argv and given.argv[0].startswith("--"):
        parse_own("src.scripts.predict", given.argv)
    elif given.argv:
        parse(Command("", " ".join(given.argv), tuple(given.argv)))


def _parse_streamlit(argv: list[str]) -> None:
    assert argv[0] == "run" and (ROOT / argv[1]).is_file(), argv


def _parse_pytest(argv: list[str]) -> None:
    assert all((ROOT / word).exists() for word in argv if not word.startswith("-")), argv


def _parse_venv(argv: list[str]) -> None:
    assert len(argv) == 1 and argv[0].startswith("."), argv


def _parse_source(argv: list[str]) -> None:
    assert argv in (["melanoma/bin/activate"], [".venv/bin/activate"]), argv


READERS = {
    "make": _parse_make,
    "pip": _parse_pip,
    "torchrun": _parse_torchrun,
    "conda": _parse_conda,
    "docker": _parse_docker,
    "streamlit": _parse_streamlit,
    "pytest": _parse_pytest,
    "venv": _parse_venv,
    "source": _parse_source,
    "git": lambda argv: argv[0] == "clone" or argv.index("clone"),
    "cd": lambda argv: None,
}
