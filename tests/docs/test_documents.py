"""The documents say what is so: files, names, commands and keys that they mention exist."""

import argparse
import ast
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from amm500_nautilus.runtime.backtest import parse_args
from amm500_nautilus.runtime.cli import build_parser
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.load import apply_overrides
from amm500_nautilus.runtime.load import read_yaml
from amm500_nautilus.runtime.load import validate


ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "adapters").glob("*/README.md")))
IDS = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PROJECT_PATH = re.compile(r"^[\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|yaml|md|toml|sh|lock))$")
ROOTS = (
    "amm500_nautilus",
    "adapters",
    "catalog",
    "configs",
    "docs",
    "tests",
    "benchmarks",
    "scripts",
    "ops",
    ".ci",
)
# what a run or an import makes, and what the reader puts there
MADE = ("config.yaml", "catalog/store/", "runs/", "datasets/", "_staging/", "simulated/", "data/")
LONGEST_SOURCE = 600


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def tracked_files() -> list[Path]:
    """Files that git knows or would know; every file outside ignored folders when there is no git."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, check=True, text=True,
        ).stdout  # fmt: skip
        paths = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        hidden = {".git", ".venv", "runs", "build", "dist", "store", "__pycache__"}
        paths = [path for path in ROOT.rglob("*") if not hidden & set(path.relative_to(ROOT).parts)]
    return [path for path in paths if path.is_file()]


def commands_in(path: Path) -> Iterator[str]:
    """Command lines of a document: its shell blocks and its inline code, comments cut off."""
    text = text_of(path)
    for language, body in FENCE.findall(text):
        if language in ("bash", "sh"):
            yield from (line.split("  #")[0].strip() for line in body.splitlines() if line.strip())
    yield from SPAN.findall(FENCE.sub("", text))


def amm500_commands() -> list[list[str]]:
    """The arguments of every ``amm500`` line; prose with alternatives (``ls|check``) or brackets is left out."""
    found = []
    for path in DOCUMENTS:
        lines = [line for line in commands_in(path) if line.startswith("amm500 ")]
        found += [shlex.split(line)[1:] for line in lines if not re.search(r"[|\[]", line)]
    return found


def subcommands() -> set[str]:
    actions = build_parser()._actions
    return {
        name
        for action in actions
        if isinstance(action, argparse._SubParsersAction)
        for name in action.choices
    }


def paths_in(path: Path) -> set[str]:
    spans = SPAN.findall(FENCE.sub("", text_of(path)))
    return {span for span in spans if PROJECT_PATH.match(span) and not span.startswith(MADE)}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE))


def override_groups() -> list[tuple[str, list[str]]]:
    """A run file with the ``--set`` assignments that stand beside it in a document."""
    groups = []
    for path in DOCUMENTS:
        for line in commands_in(path):
            words = shlex.split(line) if "--set " in line else []
            overrides = [after for word, after in pairwise(words) if word == "--set"]
            config = next((word for word in words if word.startswith("configs/")), "configs/xyz100_30d.yaml")
            if (
                overrides
                and all("=" in item for item in overrides)
                and not any("KEY" in item for item in overrides)
            ):
                groups.append((config, overrides))
    return groups


def test_the_first_runnable_line_of_the_readme_is_within_thirty_lines() -> None:
    head = text_of(README).splitlines()[:30]
    fence = next(number for number, line in enumerate(head) if line.startswith("```bash"))
    assert fence < 29
    assert head[fence + 1].split()[0] in {"git", "make", "python"}


def test_the_quickstart_is_at_most_ten_lines_and_runs_the_main_job() -> None:
    _, body = FENCE.findall(text_of(README))[0]
    lines = [line for line in body.splitlines() if line.strip()]
    assert len(lines) <= 10
    assert any(line.startswith("make backtest") for line in lines)
    assert any(line.startswith("python run_backtest.py configs/xyz100_30d.yaml") for line in lines)


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_make_targets_that_are_mentioned_exist(path: Path) -> None:
    wanted = {line.split()[1] for line in commands_in(path) if line.startswith("make ")}
    assert wanted <= make_targets()


def test_every_make_target_for_people_is_in_the_readme() -> None:
    text = text_of(README)
    missing = {name for name in make_targets() - {"clean", "lock"} if f"make {name}" not in text}
    assert not missing


def test_console_scripts_of_the_quickstart_are_declared() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    assert "amm500" in project["scripts"]
    assert (ROOT / "run_backtest.py").is_file()


def test_the_readme_names_every_run_file_and_no_other() -> None:
    mentioned = set(re.findall(r"configs/[\w.-]+\.yaml", text_of(README)))
    assert mentioned == {f"configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_paths_that_are_mentioned_exist(path: Path) -> None:
    names = {file.name for file in tracked_files()}
    missing = []
    for mention in sorted(paths_in(path)):
        if "/" in mention.rstrip("/") or mention.startswith(ROOTS):
            found = (ROOT / mention).exists() or (path.parent / mention).exists()
        else:
            found = mention in names or mention.rstrip("/") in ROOTS
        if not found:
            missing.append(mention)
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_links_lead_somewhere(path: Path) -> None:
    targets = [link for link in LINK.findall(text_of(path)) if "://" not in link]
    assert not [link for link in targets if not (path.parent / link).exists()]


def test_the_readme_links_every_document() -> None:
    links = set(LINK.findall(text_of(README)))
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= links


@pytest.mark.parametrize("words", amm500_commands(), ids=" ".join)
def test_a_command_of_the_documents_is_one_the_parser_takes(words: list[str]) -> None:
    if len(words) == 1:
        # prose calls a command by its name alone
        assert words[0] in subcommands()
        return
    args = build_parser().parse_args(words)
    config = getattr(args, "config", None)
    if config is not None and config.startswith("configs/"):
        assert (ROOT / config).is_file()


def test_run_backtest_lines_of_the_documents_parse() -> None:
    lines = [
        line for path in DOCUMENTS for line in commands_in(path) if line.startswith("python run_backtest.py ")
    ]
    assert lines
    for line in lines:
        assert parse_args(shlex.split(line)[2:]).config


def test_every_subcommand_is_in_the_readme() -> None:
    readme = {line.split()[1] for line in commands_in(README) if line.startswith("amm500 ")}
    assert readme == subcommands()


@pytest.mark.parametrize(("config", "overrides"), override_groups(), ids=str)
def test_assignments_of_the_documents_are_keys_of_a_run_file(config: str, overrides: list[str]) -> None:
    raw = apply_overrides(read_yaml(ROOT / config), overrides)
    assert validate(RunConfig, raw, config).name


def test_config_keys_of_the_simulation_page_exist() -> None:
    keys = re.findall(r"`((?:venue|market)\.[\w.]+)`", text_of(ROOT / "docs" / "simulation.md"))
    assert keys
    plain = RunConfig(name="keys").model_dump()
    for key in keys:
        node = plain
        for part in key.split("."):
            assert part in node, key
            node = node[part]


def test_the_steps_of_the_architecture_page_are_in_the_code() -> None:
    rows = re.findall(
        r"^\|[^|]+\| `([^`|]+\.py)` \| `([^`|]+)` \|$", text_of(ARCHITECTURE), flags=re.MULTILINE
    )
    assert len(rows) > 30
    missing = [f"{file}: {symbol}" for file, symbol in rows if symbol not in symbols_of(ROOT / file)]
    assert not missing


def symbols_of(path: Path) -> set[str]:
    names = set()
    for node in ast.parse(text_of(path)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
    return names


def test_the_room_map_states_the_imports_that_there_are() -> None:
    section = text_of(ARCHITECTURE).partition("## Rooms")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:4] for line in section.splitlines() if line.startswith("| `")]
    assert len(rows) == 13
    for where, _, imports in rows:
        paths = SPAN.findall(where)
        if "amm500_nautilus/runtime/" in paths:
            continue
        assert imported_by(paths) == set(SPAN.findall(imports)), where


def imported_by(paths: list[str]) -> set[str]:
    """Rooms of the project that the files of these paths import, their own left out."""
    own = {Path(path).stem for path in paths} | {Path(path).name for path in paths}
    found = set()
    for path in paths:
        files = (ROOT / path).rglob("*.py") if path.endswith("/") else [ROOT / path]
        for file in files:
            for node in ast.walk(ast.parse(text_of(file))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    found.add(room_of(node.module))
    return {room for room in found if room and room not in own}


def room_of(module: str) -> str:
    first, *rest = module.split(".")
    if first == "amm500_nautilus":
        return rest[0] if rest else ""
    return first if first in {"amm500_catalog", "hyperliquid_hip3", "hyperliquid_loopback"} else ""


def test_no_source_file_is_longer_than_the_architecture_page_says() -> None:
    assert f"No source file\nis longer than {LONGEST_SOURCE} lines" in text_of(ARCHITECTURE)
    sources = [path for path in tracked_files() if path.suffix == ".py"]
    long = [path.name for path in sources if len(text_of(path).splitlines()) > LONGEST_SOURCE]
    assert not long


def test_the_changelog_has_the_version_of_the_project() -> None:
    version = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["version"]
    assert f"## [{version}]" in text_of(ROOT / "CHANGELOG.md")


def test_no_file_holds_a_path_of_one_machine_or_the_address_of_a_package_registry() -> None:
    # pieced together, so that this file does not hold what it looks for
    folders = "|".join(("wo" + "rk", "ro" + "ot", "t" + "mp", "ho" + "me", "Us" + "ers"))
    hosts = "|".join(("py" + "pi", "files.python" + "hosted", "test.py" + "pi", "conda.ana" + "conda"))
    machine = re.compile(rf"(?<![\w.$}}~/)>-])/(?:{folders})/[\w.-]")
    registry = re.compile(rf"(?:{hosts})\.org|index-url\s*=?\s*https?:")
    found = []
    for path in tracked_files():
        try:
            lines = text_of(path).splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, start=1):
            if machine.search(line) or registry.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert not found


def test_documents_hold_no_emoji_and_keep_the_results_block() -> None:
    for path in (*DOCUMENTS, ROOT / "CHANGELOG.md"):
        assert not [sign for sign in text_of(path) if ord(sign) > 0x2BFF], path.name
    text = text_of(README)
    assert 0 < text.index("<!-- results:begin -->") < text.index("<!-- results:end -->")
