"""One list of versions: containers, conda and pages have no other, and containers are safe."""

import re
import runpy
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
# by its path: `docker` is another package's name
read_dockerfile = runpy.run_path(str(ROOT / "docker" / "dockerfile.py"))["read_dockerfile"]
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile*"))
PLACES = ("environment.yml", "requirements.txt", "Makefile", "INSTALL.md", "README.md")


def test_no_other_place_has_a_version():
    for path in (*(ROOT / place for place in PLACES), *DOCKERFILES):
        for name, version in re.findall(r"([\w.-]+)==([\w.]+)", path.read_text("utf-8")):
            assert PINNED.get(name) == version, f"{path.name}: {name}=={version}"


def test_python_is_the_same_everywhere_and_one_that_the_package_takes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    least = re.fullmatch(r">=(\d+\.\d+)", project["requires-python"])[1]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert conda[0] == f"python={least}"
    bases = {stage.base for path in DOCKERFILES for stage in read_dockerfile(path)}
    assert {base for base in bases if ":" in base} == {f"python:{least}-slim-bookworm"}
    assert f"Python {least} or newer" in (ROOT / "INSTALL.md").read_text()


def test_conda_installs_the_one_list():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert conda[-1] == {"pip": ["-r requirements.txt"]}
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert "-c constraints.txt" in lines and ".[train]" in lines


def test_every_install_of_a_page_or_a_container_takes_the_list():
    texts = [(ROOT / "INSTALL.md").read_text(), *(path.read_text() for path in DOCKERFILES)]
    for line in "\n".join(texts).splitlines():
        if line.startswith(("pip install", "RUN pip install")):
            assert "-c constraints.txt" in line or "-r requirements.txt" in line, line


def ignored(name: str) -> bool:
    """Whether .dockerignore keeps a file or folder at the root out of images."""
    found = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith(("#", "**")):
            rule, is_kept = line.removeprefix("!").partition("/")[0], line.startswith("!")
            found = (not is_kept) if fnmatch(name, rule) else found
    return found


def test_images_get_the_source_and_nothing_else():
    assert not any(map(ignored, ("src", "README.md", "constraints.txt", "predict.py", "configs")))
    for name in ("weights", "data", "HAM10000", ".git", ".env", ".venv", "demo_output", "x.csv"):
        assert ignored(name), name


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_dockerfile_copies_what_is_there_and_ends_as_a_user_without_secrets(path):
    stages = read_dockerfile(path)
    names = [stage.name for stage in stages]
    assert len({*names}) == len(stages) > 1 and all(names)
    for place, stage in enumerate(stages):
        assert (":" in stage.base and not stage.base.endswith(":latest")) or stage.base in names[
            :place
        ]
        assert not stage.texts("ADD") and not stage.texts("ARG")
        for origin, sources, _ in stage.copies():
            assert not origin or origin in names[:place], origin
            for source in sources if not origin else ():
                assert (ROOT / source).exists() and (source == "." or not ignored(source)), source
        for text in stage.texts("RUN"):
            if "apt-get install" in text:
                assert "apt-get update" in text and "--no-install-recommends" in text
                assert text.endswith("rm -rf /var/lib/apt/lists/*")
            if "pip install" in text:
                assert "--no-cache-dir" in text
            assert "sudo" not in text and "curl" not in text and "chmod 777" not in text
    text = path.read_text()
    assert not re.search(r"(?i)(password|token|secret|api_key|://[^/\s]*@)", text)
    assert not re.search(r"(?i)index-url|trusted-host|find-links", text)
    uid = re.search(r"useradd --uid (\d+) --create-home (\w+)", text)
    assert int(uid[1]) >= 10000
    for stage in stages:
        if stage.texts("CMD") or stage.texts("ENTRYPOINT"):
            assert stage.texts("USER") == [uid[2]], stage.name
            kinds = [kind for kind, _ in stage.steps]
            assert "RUN" not in kinds[kinds.index("USER") :]
    assert '["/data", "/output", "/weights"]' in text


def test_the_small_images_have_no_torch_and_the_page_says_whether_it_is_well():
    stages = {stage.name: stage for stage in read_dockerfile(ROOT / "docker" / "Dockerfile_cpu")}
    (page,) = stages["page"].texts("HEALTHCHECK")
    assert "localhost:8501/_stcore/health" in page and stages["page"].texts("EXPOSE") == ["8501"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*extras["dependencies"], *extras["optional-dependencies"]["page"]]
    assert not {"torch", "torchvision", "timm"} & {*needed}
    installs = [text for stage in stages.values() for text in stage.texts("RUN")]
    assert not any("[train]" in text or "requirements.txt" in text for text in installs)
    assert stages["predict"].texts("ENTRYPOINT") == ['["melanoma-predict"]']
