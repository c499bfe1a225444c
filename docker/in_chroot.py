"""Perform the RUN and COPY lines of a Dockerfile in Debian systems of their own, without Docker.

Needs root and debootstrap. Each stage is a folder; `python:3.11-slim-bookworm` is Debian 12 with
its own Python 3.11. What follows `--`, else the stage's own command, is run in the end, as its
user.

    python docker/in_chroot.py docker/Dockerfile_cpu --target predict --folder /tmp/chroot
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from dockerfile import Stage, read_dockerfile  # of this folder

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
HANDED_ON = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CERT")


class Chroot:
    """A stage as a folder, with the folder to work in, the environment and the user."""

    def __init__(self, folder: Path, bound: list[Path]):
        self.folder, self.bound = folder, bound
        self.place, self.user = "/", "root"
        self.variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def run(self, words: list[str]) -> None:
        """Run a command inside; what is bound is there while it runs."""
        handed = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        mounts = [(path, self.folder / path.relative_to("/")) for path in self.bound]
        mounted = []
        try:
            for path, place in [*mounts, (Path("/proc"), self.folder / "proc")]:
                (place.parent if path.is_file() else place).mkdir(parents=True, exist_ok=True)
                if path.is_file():
                    place.touch()
                subprocess.run(["mount", "--bind", path, place], check=True)
                mounted.append(place)
            inside = f"cd {shlex.quote(self.place)} && exec {shlex.join(words)}"
            program = shutil.which("chroot")
            command = [program, f"--userspec={self.user}", self.folder, "/bin/sh", "-c", inside]
            subprocess.run(command, check=True, env=self.variables | handed | {"HOME": "/tmp"})
        finally:
            for place in reversed(mounted):
                subprocess.run(["umount", place], check=True)

    def inside(self, path: str) -> Path:
        """The path outside of a path inside, which may be relative to where it works."""
        return self.folder / os.path.normpath(os.path.join(self.place, path)).lstrip("/")  # noqa: PTH118

    def copy(self, origin: Path, sources: list[str], target: str) -> None:
        """COPY: into `target`, or as it where one folder is copied."""
        place = self.inside(target)
        for source in sources:
            path = origin / source.lstrip("/")
            if path.is_dir():
                ignored = shutil.ignore_patterns(
                    "__pycache__", ".git", ".venv", "weights", "*.onnx"
                )
                shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True, ignore=ignored)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, place)


def perform(stage: Stage, chroot: Chroot, made: dict[str, Chroot]) -> list[str]:
    """The stage's command, once all its steps were performed."""
    command = []
    for kind, text in stage.steps:
        print(f"{stage.name}: {kind} {text}", flush=True)
        if kind == "RUN":
            chroot.run(["/bin/sh", "-c", text])
        elif kind == "COPY":
            ((origin, sources, target),) = Stage("", "", [(kind, text)]).copies()
            chroot.copy(made[origin].folder if origin else ROOT, sources, target)
        elif kind == "WORKDIR":
            chroot.place = text
            chroot.inside(".").mkdir(parents=True, exist_ok=True)
        elif kind == "ENV":
            chroot.variables |= dict(word.split("=", 1) for word in shlex.split(text))
        elif kind == "USER":
            chroot.user = text
        elif kind in ("CMD", "ENTRYPOINT"):
            command = json.loads(text)
    return command


def needed(stages: list[Stage], target: str) -> set[str]:
    """The names of a stage and of all those that it is made of."""
    (stage,) = (stage for stage in stages if stage.name == target)
    names = {other.name for other in stages}
    parts = {stage.base, *(origin for origin, _, _ in stage.copies())} & names
    return {target}.union(*(needed(stages, part) for part in parts))


def new_system(base: str, folder: Path, mirror: str) -> None:
    """Debian with Python in a folder, in place of an image `python:<version>-slim-<suite>`."""
    suite = base.rpartition("-")[2]
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, folder]
    subprocess.run([*command, *filter(None, [mirror])], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dockerfile", type=Path)
    parser.add_argument("--target", help="stage to end with (default: the last)")
    parser.add_argument("--folder", type=Path, required=True, help="folder for the systems")
    parser.add_argument("--mirror", default="", help="Debian mirror (default: debootstrap's)")
    parser.add_argument(
        "--bind", type=Path, action="append", default=[], help="file or folder to show inside"
    )
    argv = [*sys.argv[1:], "--"]
    end = argv.index("--")
    options, wanted = parser.parse_args(argv[:end]), argv[end + 1 : -1]
    stages = read_dockerfile(options.dockerfile)
    names = [stage.name for stage in stages]
    target = options.target or names[-1]
    made: dict[str, Chroot] = {}
    wanted_stages = needed(stages, target)
    for stage in stages:
        if stage.name not in wanted_stages:
            continue
        chroot = Chroot(options.folder / stage.name, options.bind)
        if chroot.folder.exists():
            parser.error(f"{chroot.folder}: is there already; remove it first")
        if stage.base in made:
            origin = made[stage.base]
            subprocess.run(["cp", "-a", origin.folder, chroot.folder], check=True)
            chroot.place, chroot.variables = origin.place, dict(origin.variables)
        else:
            pristine = options.folder / stage.base.replace(":", "_")
            if not pristine.exists():
                new_system(stage.base, pristine, options.mirror)
            subprocess.run(["cp", "-a", pristine, chroot.folder], check=True)
        made[stage.name] = chroot
        command = perform(stage, chroot, made)
    made[target].run(wanted or command)


if __name__ == "__main__":
    main()
