"""Call strings hold literals only; registries refuse what they do not know, in words."""

import keyword
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import UserError
from src.core.registry import MAX_CALL_LENGTH, Call, Registry, parse_call

LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.tuples(inner, inner) | st.lists(inner, max_size=2),
    max_leaves=4,
)
NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True).filter(
    lambda name: name.isidentifier() and not keyword.iskeyword(name)
)


@pytest.fixture
def registry():
    losses = Registry("loss")

    @losses.register
    def focal(num_classes, weight, *, gamma: float = 2.0, name: str = "", power: int = 1):
        return ("focal", num_classes, weight, gamma, name, power)

    @losses.register
    def plain(weight, *, betas: tuple = (0.9, 0.99), strict: bool = False, any=None):
        return ("plain", weight, betas, strict, any)

    @losses.register
    def sized(*, height: int, width: int):
        return (height, width)

    return losses


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("focal", "focal", {}),
        ("  focal ( ) ", "focal", {}),
        ("focal(gamma=1.5)", "focal", {"gamma": 1.5}),
        ("f(a=-1, b='x|y')", "f", {"a": -1, "b": "x|y"}),
        ("f(a=(1, 2), b=[None, True])", "f", {"a": (1, 2), "b": [None, True]}),
        ("f(a=1e-4)", "f", {"a": 0.0001}),
    ],
)
def test_call_strings_read_as_written(text, name, options):
    assert parse_call(text) == Call(name, options)


@given(NAMES, st.dictionaries(NAMES, LITERALS, max_size=3))
def test_a_call_reads_back_from_its_text(name, options):
    call = Call(name, options)
    assert parse_call(str(call)) == call


def test_anything_but_a_name_with_literals_is_refused():
    for text in [
        "",
        "   ",
        "focal(",
        "focal)",
        "focal(2.0)",
        "focal(*[1])",
        "focal(**{})",
        "focal(**{'gamma': 1})",
        "focal(gamma=__import__('os'))",
        "focal(gamma=open('x'))",
        "focal(gamma=other(1))",
        "focal(gamma=other)",
        "focal(gamma=1 + 1)",
        "focal(gamma=[x for x in (1,)])",
        "focal(gamma=f'{1}')",
        "focal(gamma=lambda: 1)",
        "focal(gamma=(x := 1))",
        "os.system",
        "os.system(command='true')",
        "focal().gamma",
        "focal(gamma=1)(gamma=2)",
        "focal[0]",
        "focal; plain",
        "focal if True else plain",
        "None",
        "'focal'",
        "focal plain",
        "focal\0",
        "focal(gamma=1e999)",
        "focal(gamma=-1e999)",
        "focal(gamma=(1.0, 1e999))",
        "focal(gamma=1j)",
        "focal(gamma=b'x')",
        "focal(gamma={1, 2})",
        "focal(gamma={'a': 1})",
        "focal(gamma=...)",
        "focal(gamma=" + "-" * 1900 + "1)",
        "focal(gamma=" + "[" * 900 + "]" * 900 + ")",
    ]:
        with pytest.raises(UserError, match=r"cannot read .*: expected name or name\(option=value"):
            parse_call(text)


def test_no_code_runs_while_reading(tmp_path):
    target = tmp_path / "written"
    with pytest.raises(UserError):
        parse_call(f"focal(gamma=open({str(target)!r}, 'w'))")
    assert not target.exists()


def test_an_option_given_twice_is_refused():
    with pytest.raises(UserError, match="gives an option twice"):
        parse_call("focal(gamma=1, gamma=2)")


def test_a_huge_call_string_is_refused_unread():
    parse_call("f" * MAX_CALL_LENGTH)
    with pytest.raises(UserError, match=f"of 1000000 characters: at most {MAX_CALL_LENGTH}"):
        parse_call("f" * 1_000_000)


@given(st.text(alphabet="fab(),=*'\"[]{}.:1e9- \n\\#", max_size=30))
def test_random_text_is_a_call_or_a_user_error(text):
    try:
        call = parse_call(text)
    except UserError:
        return
    assert parse_call(str(call)) == call


def test_names_are_function_names_in_order(registry):
    assert registry.names() == ["focal", "plain", "sized"]
    assert registry["plain"].__name__ == "plain"


def test_a_second_factory_of_a_name_is_refused(registry):
    with pytest.raises(ValueError, match="loss 'focal' is registered twice"):

        @registry.register
        def focal():
            raise AssertionError


def test_resolve_writes_out_every_option(registry):
    call = registry.resolve("focal(power=3)")
    assert call == Call("focal", {"gamma": 2.0, "name": "", "power": 3})


def test_build_gives_each_factory_the_context_that_it_names(registry):
    context = {"weight": "w", "num_classes": 2, "unused": math.pi}
    assert registry.build("focal(gamma=1)", **context) == ("focal", 2, "w", 1, "", 1)
    assert registry.build("plain", **context) == ("plain", "w", (0.9, 0.99), False, None)
    assert registry.build("sized(height=1, width=2)", **context) == (1, 2)
    assert registry.context_names("focal(gamma=1)") == ["num_classes", "weight"]
    assert registry.context_names("sized(height=1, width=2)") == []


def test_what_the_program_gives_cannot_be_written_as_an_option(registry):
    with pytest.raises(UserError, match="loss 'plain' has no option 'weight'"):
        registry.build("plain(weight=None)", weight="w")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "focall",
            "no loss is called 'focall'; did you mean 'focal'? (known: focal, plain, sized)",
        ),
        ("zzz", "no loss is called 'zzz' (known: focal, plain, sized)"),
        (
            "focal(gama=1)",
            "loss 'focal' has no option 'gama'; did you mean 'gamma'? "
            "(options: gamma, name, power)",
        ),
        ("sized(height=3)", "loss 'sized' needs the option 'width'"),
    ],
)
def test_unknown_and_missing_names_are_refused_with_the_nearest(registry, text, message):
    with pytest.raises(UserError) as error:
        registry.resolve(text)
    assert str(error.value) == message


def test_options_of_another_kind_than_their_default_are_refused(registry):
    for text, expected in [
        ("focal(gamma='2')", "2.0"),
        ("focal(gamma=True)", "2.0"),
        ("focal(gamma=None)", "2.0"),
        ("focal(power=1.5)", "1"),
        ("focal(power=False)", "1"),
        ("focal(name=1)", "''"),
        ("plain(strict=1)", "False"),
        ("plain(betas=[0.9, 0.99])", r"\(0.9, 0.99\)"),
        ("plain(betas=0.9)", r"\(0.9, 0.99\)"),
    ]:
        with pytest.raises(UserError, match=f"expected a value like {expected}$"):
            registry.resolve(text)


@pytest.mark.parametrize("text", ["focal(gamma=1)", "plain(any='x')", "plain(any=(1, None))"])
def test_whole_numbers_serve_as_floats_and_a_default_of_none_admits_anything(registry, text):
    assert registry.resolve(text).options.items() >= parse_call(text).options.items()
