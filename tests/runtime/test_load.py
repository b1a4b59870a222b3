"""A run file that is wrong says what, where and what is allowed."""

from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic import ConfigDict

from amm500_catalog.errors import InputError
from amm500_nautilus.quoting.config import LadderConfig
from amm500_nautilus.runtime.load import apply_overrides
from amm500_nautilus.runtime.load import read_yaml
from amm500_nautilus.runtime.load import validate
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.models import model_of


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    days: int = 30


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    data: Inner = Inner()


def bomb(pattern: str) -> str:
    """Return nine lines, each of ten times the line before."""
    lines = [f"a{i}: &a{i} " + pattern.format(", ".join([f"*a{i - 1}"] * 10)) for i in range(1, 9)]
    return "\n".join(["a0: &a0 {x: 1}", *lines])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("- a\n- b\n", "holds a list", id="a list"),
        pytest.param("a: [1\n", "is not valid YAML", id="broken"),
        pytest.param(
            "live: {}\na: 1\nlive: {}\n", "the key 'live' is there twice, line 3", id="a section twice"
        ),
        pytest.param("a: {b: 1, b: 2}\n", "the key 'b' is there twice", id="a key twice"),
        pytest.param("a: &x {b: *x}\n", "recursive", id="a mapping that holds itself"),
        pytest.param("a: &x [*x]\n", "recursive", id="a list that holds itself"),
        pytest.param("seed: !!bool abc\n", "the value is no bool, line 1, column 7", id="no bool"),
        pytest.param("seed: !!timestamp abc\n", "the value is no timestamp, line 1", id="no time"),
        pytest.param("seed: !!int ''\n", "the value is no int, line 1", id="no number"),
        pytest.param("a: 1\nb: {!!bool c: 1}\n", "the value is no bool, line 2", id="no bool as a key"),
        pytest.param("seed: !!map abc\n", "expected a mapping node", id="no mapping"),
        pytest.param("a: 2026-13-45\n", "month must be in 1..12, line 1, column 4", id="no such date"),
        pytest.param(bomb("[{}]"), "its aliases repeat more than 10,000 values", id="lists of lists"),
        pytest.param(bomb("{{<<: [{}]}}"), "its aliases repeat", id="mappings merged of mappings"),
    ],
)
def test_an_unusable_file_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        read_yaml(path)
    assert "run.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


KEY = "4c0883a69102937d" + "6231471b5dbb6204fe5129617082792ae468d01a3f362318"


@pytest.mark.parametrize(
    "content",
    [f'live:\n  user: "0x{KEY}\n', f"{{user: 0x{KEY}, a: [}}\n", f"live:\n  user: !!int 0x{KEY}g\n"],
)
def test_a_broken_file_does_not_repeat_the_key_in_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_yaml(path)
    said = str(caught.value)
    assert not any(KEY[at : at + 8] in said for at in range(len(KEY) - 8))


@pytest.mark.parametrize("text", [f'live.user="0x{KEY}', KEY])
def test_a_broken_override_does_not_repeat_the_key_in_it(text: str) -> None:
    with pytest.raises(InputError) as caught:
        apply_overrides({}, [text])
    assert KEY not in str(caught.value)


def test_a_merged_mapping_is_no_key_twice(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("a: &base {x: 1, y: 2}\nb: {<<: *base, x: 3}\n")
    assert read_yaml(path)["b"] == {"x": 3, "y": 2}


def test_what_a_few_aliases_repeat_is_read_and_so_is_a_long_list(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"a: &a [1, 2]\nb: [*a, *a]\nc: {list(range(20_000))}\n")
    raw = read_yaml(path)
    assert raw["b"] == [[1, 2], [1, 2]]
    assert len(raw["c"]) == 20_000


def test_an_override_reaches_an_item_of_a_list() -> None:
    raw = {"bands": [{"min": 1}, {"min": 2}]}
    assert apply_overrides(raw, ["bands.1.min=5"]) == {"bands": [{"min": 1}, {"min": 5}]}
    with pytest.raises(InputError, match=r"'2' in 'bands\.2\.min' is no item of the list.*0 to 1"):
        apply_overrides(raw, ["bands.2.min=5"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("absent.yaml", "there is no such file", id="missing"),
        pytest.param("a.yaml/b.yaml", "there is no such file", id="below a file"),
        pytest.param("", "is a folder", id="a folder"),
        pytest.param("/dev/null", "is no ordinary file", id="a device"),
        pytest.param("x" * 300, "cannot be read (File name too long)", id="a name too long"),
    ],
)
def test_what_is_no_file_is_named(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\n")
    with pytest.raises(InputError) as caught:
        read_yaml(tmp_path / name)
    assert f": {said}" in str(caught.value)


def test_overrides_reach_nested_keys_and_read_yaml_values() -> None:
    raw = apply_overrides({"data": {"days": 30}}, ["data.days=3", "account.equity=2.5", "flag=true"])
    assert raw == {"data": {"days": 3}, "account": {"equity": 2.5}, "flag": True}


@pytest.mark.parametrize(
    "text", ["data.days", "=3", "data.days.deeper=1", "account.private_key=0x1", "data.end=2026-13-45"]
)
def test_a_bad_override_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        apply_overrides({"data": {"days": 30}}, [text])


def test_an_unknown_key_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"run.yaml: unknown key 'data.dais'; allowed: days"):
        validate(Outer, {"data": {"dais": 3}}, "run.yaml")


def test_a_wrong_type_names_key_and_value() -> None:
    with pytest.raises(InputError, match=r"data.days = 'many'"):
        validate(Outer, {"data": {"days": "many"}}, "run.yaml")


def test_a_dataclass_becomes_a_strict_model_and_comes_back() -> None:
    model = model_of(LadderConfig)
    assert build(model()) == LadderConfig()
    with pytest.raises(InputError, match="unknown key 'levls'"):
        validate(model, {"levls": 3}, "run.yaml")


def test_a_number_that_is_none_is_refused_by_its_key() -> None:
    model = model_of(LadderConfig)
    with pytest.raises(ValueError, match=r"^strategy.ladder.size_fraction is nan; allowed: a number$"):
        build(model(size_fraction=float("nan")), "strategy.ladder")


def test_what_a_dataclass_refuses_is_named_by_its_key() -> None:
    with pytest.raises(ValueError, match=r"^strategy.ladder: LadderConfig.levels is 0"):
        build(model_of(LadderConfig)(levels=0), "strategy.ladder")
