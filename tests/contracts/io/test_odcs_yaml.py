"""YAML files of the standard: invalid documents are refused with a line, unknown fields are listed."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from tidemill.contracts.io.odcs_yaml import OdcsFile, parse_text, read_file, to_yaml
from tidemill.core.errors import SourceError, UsageError

HEAD = """\
apiVersion: v3.1.0
kind: DataContract
id: shop
version: 1.0.0
status: active
"""


@pytest.fixture(params=[True, False], ids=["in C", "in Python"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both loaders of PyYAML: that in C isn't everywhere."""
    if not request.param:
        yaml = import_module("yaml")
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
        monkeypatch.delattr(yaml, "CSafeDumper", raising=False)


def refusal(text: str) -> str:
    with pytest.raises(SourceError) as caught:
        parse_text(text, "shop.yaml")
    return str(caught.value)


def test_a_document_is_read_with_the_types_that_the_standard_has(tmp_path: Path) -> None:
    file = tmp_path / "shop.odcs.yaml"
    table = 'schema:\n- name: t\n  properties:\n  - {name: a, required: "true"}\n'
    file.write_text(HEAD + table, encoding="utf-8")
    fields = read_file(file).fields
    assert fields["version"] == "1.0.0"
    assert fields["schema"][0]["properties"] == [{"name": "a", "required": True}]


def test_fields_that_the_standard_does_not_have_are_told() -> None:
    text = (
        HEAD
        + "schema:\n- name: t\n  propertys: []\n  properties:\n  - name: a\n    requird: true\n"
    )
    assert parse_text(text, "x").unknown == (
        "schema[0].propertys",
        "schema[0].properties[0].requird",
    )


def test_what_may_be_anything_is_no_unknown_field() -> None:
    text = HEAD + "customProperties:\n- property: x\n  value: {deep: [{inside: 1}]}\n"
    assert parse_text(text, "x").unknown == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "shop.yaml is not a document: it has no fields such as apiVersion and schema"),
        ("- a\n", "shop.yaml is not a document"),
        ("a: [1\nb: 2\n", "shop.yaml:2:"),
        ("a: 1\na: 2\n", "shop.yaml:2: duplicate field a"),
        ("s:\n- n: 1\n  n: 2\n", "shop.yaml:3: duplicate field s[0].n"),
        ("a: !!python/object:os.system {}\n", "shop.yaml:1:4: could not determine a constructor"),
        ("a: 2026-99-01\n", "shop.yaml: month must be in 1..12"),
        (HEAD + "datasett: x\n", "shop.yaml:6: datasett: extra inputs are not permitted"),
        (HEAD + "schema: tables\n", "shop.yaml:6: schema: input should be a valid list"),
        (
            HEAD + "schema:\n- name: t\n  properties:\n  - name: a\n    required: maybe\n",
            "shop.yaml:10: schema[0].properties[0].required: input should be a valid boolean",
        ),
        # Where either of two forms would do, the field itself is named.
        (HEAD + "team: 5\n", "shop.yaml:6: team: input should be a valid"),
        ("a: &a [*a]\n", "shop.yaml: its aliases (& and *) expand to more than 1,000,000 values"),
        ("[" * 3000, "shop.yaml:"),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_with_its_place(text: str, told: str) -> None:
    assert told in refusal(text)


def test_all_faults_come_at_once() -> None:
    text = HEAD + "tenant: 1\ndomain: 2\nschema:\n- name: 3\n"
    assert refusal(text).splitlines() == [
        "shop.yaml:6: tenant: input should be a valid string",
        "shop.yaml:7: domain: input should be a valid string",
        "shop.yaml:9: schema[0].name: input should be a valid string",
    ]


def test_aliases_that_blow_up_are_refused_at_once() -> None:
    layers = ["a: &a0 [x, x, x, x, x, x, x, x]"]
    layers += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 40)]
    assert "aliases" in refusal("\n".join(layers))


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"can't read .*none\.yaml: No such file"):
        read_file(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(SourceError, match=r"can't read .*: it isn't UTF-8"):
        read_file(tmp_path / "latin.yaml")


# Each is something that YAML writes in a way of its own.
@pytest.mark.parametrize(
    "text", ["\x85", "a\x85b", "\u2028", "\x00", "~", "on", "1:30", "a\n b", " x", "2026-01-01"]
)
def test_text_stays_text(text: str) -> None:
    fields = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "x",
        "version": "1.0.0",
        "name": text,
    }
    assert parse_text(to_yaml(fields), "x") == OdcsFile(fields=fields)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_data_contract_standard.model", None)
    with pytest.raises(UsageError, match=r"pip install 'tidemill\[odcs\]'"):
        to_yaml({})
