"""What is compared to decide what runs again: code by content, settings in one order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoredag.job import sources

NUMBERS = st.one_of(st.booleans(), st.none(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3))
VALUES = st.recursive(
    NUMBERS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def reversed_keys(value):
    """The value with every dict in the opposite order."""
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(entry) for entry in value] if isinstance(value, list) else value


def floats_for_integers(value):
    """The value with every integer that a float holds exactly as a float."""
    if isinstance(value, dict):
        return {key: floats_for_integers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [floats_for_integers(entry) for entry in value]
    return float(value) if type(value) is int and abs(value) < 2**53 else value


@given(VALUES)
def test_ordered_values_are_equal_and_have_one_text(value):
    found = sources.ordered(value)
    assert found == value and sources.ordered(found) == found
    text = json.dumps(found)
    assert json.dumps(sources.ordered(reversed_keys(value))) == text
    assert json.dumps(sources.ordered(floats_for_integers(value))) == text


@given(VALUES, VALUES)
def test_ordered_values_that_differ_have_two_texts(one, other):
    if one != other:
        assert json.dumps(sources.ordered(one)) != json.dumps(sources.ordered(other))


FILES = {
    "script.py": "from package import part\ndef run():\n    import late\n",
    "package/__init__.py": "",
    "package/part.py": "try:\n    from package.deep.module import name\nexcept ImportError:\n    pass\n",
    "package/deep/__init__.py": "",
    "package/deep/module.py": "name = 1\n",
    "package/unused.py": "",
    "late.py": "import os\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_modules_are_all_that_is_imported_and_nothing_else(folder):
    found = sources.modules(folder / "script.py", folder)
    assert {str(path.relative_to(folder)) for path in found} == {*FILES} - {"package/unused.py"}


@pytest.mark.parametrize("name", FILES)
def test_a_digest_follows_what_is_imported(folder, name):
    script = folder / "script.py"
    before = sources.digester()(script)
    assert sources.digester()(script) == before
    (folder / name).write_text(FILES[name] + "# edited\n")
    assert (sources.digester()(script) == before) == (name == "package/unused.py")


def test_the_same_code_elsewhere_has_the_same_digest(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name, text in FILES.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text)
    digest = sources.digester()
    assert digest(folder / "script.py") == digest(other / "script.py")


def test_a_shipped_file_is_found_in_both_folders(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "home/a.csv").touch()
    monkeypatch.chdir(tmp_path / "work")
    assert sources.shipped("a.csv", tmp_path / "home") == "../home/a.csv"
    (tmp_path / "work/a.csv").touch()
    assert sources.shipped("a.csv", tmp_path / "home") == "a.csv"


def test_a_module_that_is_no_python_is_told_by_its_path(folder):
    (folder / "late.py").write_text("def\n", encoding="utf-8")
    with pytest.raises(SyntaxError) as refused:
        sources.modules(folder / "script.py", folder)
    assert refused.value.filename == str(folder / "late.py")
