"""Attestations of what real runs delivered: complete, valid for others, refused after any change."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from base64 import b64decode, b64encode
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.behaviour.test_text_partitions import ODD
from tests.governance.test_ml_bom import fault_of, references
from tests.support.attested import Attested, QuicklyAttested, folder_of, with_key
from tests.support.mutated_json import mutated_bytes
from tests.support.repository import git
from tests.support.thoroughness import examples
from tests.support.tides import CHAIN, Tides, day, flow_of
from tidemill.cli.attest.commands import _lines as report_lines
from tidemill.core.errors import StorageError, UsageError
from tidemill.governance.attest_settings import AttestSettings
from tidemill.governance.dsse import signed_envelope
from tidemill.governance.in_toto import PAYLOAD_TYPE
from tidemill.governance.io.signing_keys import (
    create_key,
    load_public_key,
    load_signing_key,
    public_path,
)
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import PolicyDecided, ReviewClosed, ReviewOpened, Voted
from tidemill.ledger.policy import PolicyDecision, PolicyOutcome, SubjectKind
from tidemill.ledger.review import Choice, Quorum, Review, ReviewOutcome, Vote
from tidemill.project.attest_hooks import attest_live, attest_run
from tidemill.project.project import open_project


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Attested:
    """A project after a run that trained a model, delivered it, and scored a table."""
    made = Attested(tmp_path_factory.mktemp("attested") / "tides")
    made.ok()
    return made


@pytest.fixture
def quick(tmp_path: Path) -> QuicklyAttested:
    """A project after a run, in which no library trains."""
    made = QuicklyAttested(tmp_path / "tides", ["a", "b"])
    made.run()
    return made


@pytest.fixture
def project(trained: Attested, tmp_path: Path) -> Attested:
    """A copy of it, to be changed."""
    shutil.copytree(trained.root, tmp_path / "tides")
    shutil.copy(trained.key, tmp_path / "tides.pem")
    shutil.copy(public_path(trained.key), tmp_path / "tides.pem.pub")
    return Attested(tmp_path / "tides")


def statement_in(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b64decode(json.loads(path.read_bytes())["payload"]))
    return found


def parse_message(value: object, message: Any) -> Any:
    """A message of protobuf from JSON; unknown fields and wrong types are errors."""
    return import_module("google.protobuf.json_format").ParseDict(value, message)


def attested(project: Tides) -> dict[str, Path]:
    """The attestations that a run wrote, by what they are about."""
    return {path.name.partition("-")[0]: path for path in folder_of(project).iterdir()}


def dependencies(statement: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    return {each["name"]: each for each in found}


def test_a_run_attests_the_model_and_the_table_that_it_delivers(trained: Attested) -> None:
    [model] = trained.open().models["model"].versions
    files = attested(trained)
    assert {path.name for path in files.values()} == {
        f"model-{model.id}.dsse.json",
        f"out-{model.run}.dsse.json",
    }
    statement = statement_in(files["model"])
    [subject] = statement["subject"]
    assert subject["name"] == f"model-{model.id}.sklearn"
    assert subject["digest"] == {"sha256": model.artifact.object[:64]}
    predicate = statement["predicate"]
    external = predicate["buildDefinition"]["externalParameters"]
    assert (external["workflow"], external["stage"], external["environment"], external["seed"]) == (
        *("tides", "model", "prod", 1),
    )
    found = dependencies(statement)
    # The partitions that it was trained on, and every file of the source.
    days = [f"{day(number)}.parquet" for number in range(8)]
    assert [*found["features"]["annotations"]["files"]] == days
    assert [*found["labels"]["annotations"]["files"]] == days
    source = found["source of rows"]["annotations"]["files"]
    for path in (trained.root / "data").iterdir():
        assert source[f"data/{path.name}"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["scikit-learn"]["uri"].startswith("pkg:pypi/scikit-learn@")
    details = predicate["runDetails"]
    assert details["metadata"]["invocationId"] == model.run
    assert details["metadata"]["startedOn"] <= details["metadata"]["finishedOn"]
    kinds = [each["name"] for each in details["byproducts"]]
    assert kinds == ["golden.parquet", "scores/scores", "decision"]
    scores, decision = (each["annotations"] for each in details["byproducts"][1:])
    assert decision["verdict"] == "approved"
    assert decision["gates"][0]["gate"] == "beats_baseline(loss)"
    [evaluation, *_] = model.evaluations
    assert scores["metrics"] == evaluation.scores.metrics
    assert scores["rows"] == evaluation.scores.rows


def test_a_table_names_its_files_as_delivered_and_the_model_that_scored_it(
    trained: Attested,
) -> None:
    statement = statement_in(attested(trained)["out"])
    subjects = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    delivered = {
        f"out/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (trained.root / "out").iterdir()
    }
    assert subjects == delivered
    [model] = trained.open().models["model"].versions
    found = dependencies(statement)
    assert found["model"]["annotations"]["files"] == {
        f"model-{model.id}.sklearn": model.artifact.object[:64]
    }
    assert len(found["features"]["annotations"]["files"]) == 10
    assert "dirHash1" in found["features"]["digest"]
    sink = statement["predicate"]["buildDefinition"]["externalParameters"]["sink"]
    assert sink == {"format": "parquet", "target": "out"}


@pytest.mark.parametrize("name", ["model", "out"])
def test_other_programs_read_and_verify_what_is_written(trained: Attested, name: str) -> None:
    """The message classes of in-toto and of SLSA, and the envelopes of securesystemslib."""
    path = attested(trained)[name]
    statement = statement_in(path)
    messages = import_module("in_toto_attestation.predicates.provenance.v1.provenance_pb2")
    predicate = parse_message(statement["predicate"], messages.Provenance())
    assert predicate.build_definition.external_parameters["stage"] == name
    assert predicate.run_details.metadata.started_on.seconds > 0
    message = import_module("in_toto_attestation.v1.statement_pb2").Statement()
    # JSON calls the field `_type`.
    parse_message({**statement, "type": statement.pop("_type")}, message)
    import_module("in_toto_attestation.v1.statement").Statement.copy_from_pb(message).validate()
    own = load_public_key(public_path(trained.key))
    libraries = import_module("securesystemslib.signer"), import_module("securesystemslib.dsse")
    key = libraries[0].SSlibKey.from_crypto(own._key, keyid=own.id)
    envelopes = libraries[1].Envelope
    envelopes.from_dict(json.loads(path.read_bytes())).verify([key], 1)
    changed = json.loads(path.read_bytes())
    changed["payload"] = b64encode(b"{}").decode()
    with pytest.raises(import_module("securesystemslib.exceptions").VerificationError):
        envelopes.from_dict(changed).verify([key], 1)


def test_attestations_are_valid_for_the_store_and_for_what_left_it(
    project: Attested, tmp_path: Path
) -> None:
    [model] = project.verify("model")
    assert (model.is_valid, model.stage, len(model.files)) == (True, "model", 1)
    [table] = project.verify("out")
    assert (table.is_valid, len(table.files)) == (True, 10)
    [same] = project.verify(str(attested(project)["out"]))
    assert (same.is_valid, same.keys) == (True, table.keys)
    # What is delivered, and what is exported.
    assert project.verify("out", against=project.root / "out")[0].is_valid
    with project.open() as opened:
        opened.models["model"].export(tmp_path / "exported")
    assert project.verify("model", against=tmp_path / "exported")[0].is_valid
    [one] = (tmp_path / "exported").glob("*.sklearn")
    assert project.verify("model", against=one)[0].is_valid
    first = project.root / "out" / f"{day(0)}.parquet"
    assert [file.name for file in project.verify("out", against=first)[0].files] == [
        f"out/{day(0)}.parquet"
    ]
    # Once more by hand: nothing in it depends on when it is written.
    before = attested(project)["model"].read_bytes()
    assert project.attest("model", sign=True).text.encode() == before
    assert project.attest("model").statement == statement_in(attested(project)["model"])


def test_bytes_that_changed_are_named(project: Attested, tmp_path: Path) -> None:
    path = project.root / "out" / f"{day(3)}.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    [report] = project.verify("out", against=project.root / "out")
    [bad] = [file for file in report.files if file.fault]
    assert (bad.name, bad.fault) == (f"out/{day(3)}.parquet", f"{path} has the SHA-256 {digest}")
    path.unlink()
    [report] = project.verify("out", against=project.root / "out")
    assert [file.fault for file in report.files if file.fault] == [
        f"it is missing in {path.parent}"
    ]
    [model] = project.open().models["model"].versions
    stored = Path(project.open().tools.artifacts.uri(model.artifact.object))
    stored.chmod(0o600)
    stored.write_bytes(b"another model")
    [report] = project.verify("model")
    assert report.files[0].fault.startswith("the store has bytes with the SHA-256 ")
    with pytest.raises(StorageError, match="has the SHA-256"):
        project.attest("model")
    stored.unlink()
    [report] = project.verify("model")
    assert report.files[0].fault == "the store doesn't have these bytes"


def faults_of(reports: Any) -> dict[str, str]:
    """What is wrong with each file, by its name."""
    return {file.name: file.fault for report in reports for file in report.files if file.fault}


def test_files_that_were_exchanged_are_refused(project: Attested) -> None:
    folder = project.root / "out"
    one, other = (folder / f"{day(number)}.parquet" for number in (3, 4))
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (one, other)}
    one.rename(folder / "kept")
    other.rename(one)
    (folder / "kept").rename(other)
    wrong = {
        f"out/{one.name}": f"{one} has the SHA-256 {digests[other]}",
        f"out/{other.name}": f"{other} has the SHA-256 {digests[one]}",
    }
    for target in ("out", str(attested(project)["out"])):
        # A folder, and one in which the table has a folder of its name.
        for place in (folder, project.root):
            assert faults_of(project.verify(target, against=place, partial=True)) == wrong
        for path in (one, other):
            assert [*faults_of(project.verify(target, against=path))] == [f"out/{path.name}"]


def test_files_that_nobody_attested_are_refused(project: Attested, tmp_path: Path) -> None:
    folder = project.root / "out"
    attestation = str(shutil.copy(attested(project)["out"], folder))
    added = folder / "2030" / "x.parquet"
    added.parent.mkdir()
    shutil.copy(folder / f"{day(3)}.parquet", added)
    for arguments in (("out",), ("out", day(3)), (attestation,)):
        reports = project.verify(*arguments, against=folder)
        assert faults_of(reports) == {str(added): "no attestation names it"}
        assert not faults_of(project.verify(*arguments, against=folder, partial=True))
        # Beside the folder of the table nothing counts.
        assert [*faults_of(project.verify(*arguments, against=project.root))] == [str(added)]
    elsewhere = shutil.copy(folder / f"{day(3)}.parquet", tmp_path / "x.parquet")
    for arguments in (("out",), (attestation,), ("model",)):
        reports = project.verify(*arguments, against=elsewhere, partial=True)
        assert faults_of(reports) == {str(elsewhere): "no attestation names it"}


def test_whatever_a_trusted_key_signed_is_reported(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A statement with any change is refused, or says the same of the files."""
    tides = QuicklyAttested(tmp_path_factory.mktemp("signed") / "tides", ["a", "b"])
    tides.run()
    files = attested(tides)
    path = tides.root.parent / "changed.json"
    key = load_signing_key(tides.key, tides.root / ".tidemill")

    @given(st.data(), st.sampled_from(sorted(files)))
    @settings(max_examples=examples(60))
    def check(data: st.DataObject, name: str) -> None:
        statement = statement_in(files[name])
        if data.draw(st.booleans()):
            text = data.draw(mutated_bytes(statement))
            path.write_text(signed_envelope(PAYLOAD_TYPE, text, key, key.public.id).text)
        else:
            path.write_bytes(data.draw(mutated_bytes(json.loads(files[name].read_bytes()))))
        [report] = opened.attestations.verify(str(path), against=tides.root / "out")
        printed = [*report_lines(report)]
        assert all(line.encode() for line in printed)
        if report.is_valid and name == "out":
            named = {file.name: file.sha256 for file in report.files}
            assert named == {
                each["name"]: each["digest"]["sha256"] for each in statement["subject"]
            }

    with tides.open() as opened:
        check()


def test_a_file_of_an_older_run_is_verified_alone(project: Attested) -> None:
    frame = pl.read_parquet(project.root / "data" / f"{day(9)}.parquet")
    project.put(f"{day(9)}.parquet", frame.head(3))
    project.run()
    for number in (0, 9):
        path = project.root / "out" / f"{day(number)}.parquet"
        [report] = project.verify("out", against=path)
        assert (report.is_valid, [file.name for file in report.files]) == (
            True,
            [f"out/{path.name}"],
        )


def test_what_another_key_signed_or_nobody_is_refused(project: Attested, tmp_path: Path) -> None:
    path = attested(project)["model"]
    other = tmp_path / "other.pem"
    create_key(other, project.root / ".tidemill")
    with pytest.raises(UsageError, match="isn't the PEM file of a public"):
        project.verify("model", keys=[str(other)])
    [report] = project.verify("model", keys=[f"{other}.pub"])
    assert "no signature is by a trusted key" in report.fault
    with with_key(project.open(), other) as opened:
        opened.attestations.attest("model", sign=True)
    [report] = project.verify("model")
    assert "no signature is by a trusted key" in report.fault
    assert project.verify("model", keys=[f"{project.key}.pub", f"{other}.pub"])[0].is_valid
    bare = tmp_path / "statement.json"
    project.attest("model", to=bare)
    [report] = project.verify(str(bare))
    assert report.fault == "the envelope has no list of signatures"
    assert json.loads(bare.read_text()) == statement_in(path)


def test_an_attestation_of_another_version_is_no_substitute(quick: QuicklyAttested) -> None:
    """Each is signed, but isn't about what its name says."""
    project = quick
    [first] = project.open().models["model"].versions
    project.edit("Constant(1.0)", "Constant(0.5)")
    project.run(train=["model"])
    second, _ = project.open().models["model"].versions
    assert second.id != first.id
    files = folder_of(project)
    project.attest("model", second.id, sign=True)
    assert project.verify("model", second.id)[0].is_valid
    shutil.copy(files / f"model-{first.id}.dsse.json", files / f"model-{second.id}.dsse.json")
    [report] = project.verify("model", second.id)
    assert {file.name: file.fault for file in report.files} == {
        f"model-{first.id}.constant": "the ledger doesn't know it",
        f"model-{second.id}.constant": "the statement isn't about it",
    }
    (files / f"model-{second.id}.dsse.json").unlink()
    with pytest.raises(UsageError, match=f"`tidemill attest write model {second.id} --sign`"):
        project.verify("model", second.id)


def test_each_run_attests_its_partitions_and_together_they_cover_the_table(
    project: Attested,
) -> None:
    frame = pl.read_parquet(project.root / "data" / f"{day(9)}.parquet")
    project.put(f"{day(9)}.parquet", frame.head(3))
    project.run()
    newest, oldest = project.verify("out")
    assert newest.is_valid
    assert oldest.is_valid
    assert [file.name for file in newest.files] == [f"out/{day(9)}.parquet"]
    assert len(oldest.files) == 9
    assert len(project.verify("out", day(9))[0].files) == 1
    assert len(project.verify("out", newest.run)[0].files) == 1
    attestation = folder_of(project) / f"out-{newest.run}.dsse.json"
    assert len(statement_in(attestation)["subject"]) == 1
    attestation.unlink()
    # The older attestation is about the rows from before.
    [old] = project.verify("out")
    assert [file.name for file in old.files if file.fault] == [f"out/{day(9)}.parquet"]
    (folder_of(project) / f"out-{oldest.run}.dsse.json").unlink()
    project.attest("out", day(0), sign=True)
    [one, none] = project.verify("out")
    assert (one.is_valid, len(one.files), none.keys) == (True, 1, ())
    assert {file.fault for file in none.files} == {
        "no attestation is about it: `tidemill attest write out --sign`"
    }
    assert len(none.files) == 9


def test_a_failure_to_attest_is_a_message_of_the_run(tmp_path: Path) -> None:
    project = QuicklyAttested(tmp_path / "tides", ["a", "b"])
    project.open()
    project.key.chmod(0o644)
    receipt = project.run()
    assert receipt.exit_code == 0
    failed = [message for message in receipt.messages if "wasn't attested" in message]
    assert len(failed) == 2
    assert all("chmod 600" in message for message in failed)
    assert pl.read_parquet(project.root / "out" / "*.parquet").height == 2
    assert not folder_of(project).exists()
    recorded = project.open().runs(1)[0].receipt
    assert recorded is not None
    assert [m for m in recorded.messages if "wasn't attested" in m] == failed
    # The next command that makes it live, or a person, attests it.
    project.key.chmod(0o600)
    with project.open() as opened:
        for name in ("model", "model", "nothing"):
            assert attest_live(opened.workspace, name) == ()
    assert project.verify("model")[0].is_valid
    with pytest.raises(UsageError, match="out isn't attested in prod"):
        project.verify("out")


def test_a_home_that_cannot_be_written_stops_no_run(tmp_path: Path) -> None:
    project = QuicklyAttested(tmp_path / "tides", ["a"])
    folder_of(project).parent.mkdir(parents=True)
    folder_of(project).write_bytes(b"a file in its place")
    receipt = project.run()
    assert receipt.exit_code == 0
    assert sum("can't be written" in message for message in receipt.messages) == 2


def test_the_commit_of_the_code_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = QuicklyAttested(tmp_path / "tides", ["a"])
    project.open()
    monkeypatch.chdir(project.root)
    git("init", "--quiet")
    git("add", "tides.py")
    git("commit", "--quiet", "-m", "first")
    project.ok()
    commit = git("rev-parse", "HEAD").strip()
    code = dependencies(statement_in(attested(project)["model"]))["code"]
    assert code == {"name": "code", "digest": {"gitCommit": commit}}
    project.edit("Constant(1.0)", "Constant(0.5)")
    project.run(train=["model"])
    [second, _] = project.open().models["model"].versions
    code = dependencies(project.attest("model", second.id).statement)["code"]
    assert code["digest"] == {"gitCommit": commit}
    assert code["annotations"] == {"changed": True}


def test_rules_and_reviews_are_byproducts(project: Attested) -> None:
    with project.open() as opened:
        [model] = opened.models["model"].versions
        [decision] = model.decisions
        common: dict[str, Any] = {
            "kind": SubjectKind.DELIVERY,
            "name": "model",
            "subject": decision.subject,
        }
        decided = PolicyDecision(
            id="p1", outcome=PolicyOutcome.REVIEW, facts={"cost": 0.5, "first_delivery": True},
            rules="digest", actor="ana", at=1.0, **common,
        )  # fmt: skip
        review = Review(id="r1", author="ana", artifact=model.id, quorums=(Quorum(),), **common)
        others = [replace(decided, id="p2", subject="x"), replace(decided, id="p3", name="other")]
        vote = Vote(actor="ben", choice=Choice.APPROVE, reason="looks fine", at=3.0)
        where = {"environment": "prod"}
        events: list[Event] = [
            *(PolicyDecided(decision=each, **where) for each in (decided, *others)),
            ReviewOpened(review=review, **where),
            ReviewOpened(review=replace(review, id="r2", subject="x"), **where),
            Voted(review="r1", vote=vote, **where),
            Voted(review="r2", vote=vote, **where),
            ReviewClosed(review="r1", outcome=ReviewOutcome.APPROVED, **where),
        ]
        opened.tools.ledger.append(events, now=4.0)
        made = opened.attestations.attest("model").statement
    found = {each["name"]: each for each in made["predicate"]["runDetails"]["byproducts"]}
    assert found["policy"]["annotations"]["facts"] == {"cost": 0.5, "first_delivery": True}
    assert found["policy"]["annotations"]["id"] == "p1"
    shown = found["review"]["annotations"]
    assert (shown["id"], shown["author"], shown["outcome"]) == ("r1", "ana", "approved")
    assert [(each["actor"], each["choice"]) for each in shown["votes"]] == [("ben", "approve")]


def test_partitions_of_any_text_are_attested(tmp_path: Path) -> None:
    tides = QuicklyAttested(tmp_path / "tides", list(dict.fromkeys(ODD)))
    receipt = tides.run()
    assert [m for m in receipt.messages if "approved" not in m] == []
    with tides.open() as project:
        [report] = project.attestations.verify("out")
        assert report.is_valid
        assert len(report.files) == len({*ODD})
        assert project.attestations.verify("out", against=tides.root / "out")[0].is_valid
        # A model without a window, and a source that is one file.
        found = dependencies(project.attestations.attest("model").statement)
        assert [*found["known"]["annotations"]["files"]] == ["all.parquet"]
        assert [*found["source of known"]["annotations"]["files"]] == ["known.parquet"]


def test_tables_that_are_not_delivered_are_attested_too(tmp_path: Path) -> None:
    tides = Tides(tmp_path, CHAIN)
    for number in range(3):
        tides.send(number)
    tides.ok()
    with tides.open() as project:
        daily = project.attestations.attest("daily", day(1)).statement
        [subject] = daily["subject"]
        assert subject["name"] == f"daily/{day(1)}.parquet"
        assert [*dependencies(daily)["doubled"]["annotations"]["files"]] == [f"{day(1)}.parquet"]
        raw = project.attestations.attest("raw", day(1)).statement
        source = dependencies(raw)["source of raw"]["annotations"]["files"]
        assert [*source] == [f"data/{day(1)}.parquet"]
        assert attest_run(project.workspace, "run", 0) == ()
        with pytest.raises(UsageError, match="no partition 'then'"):
            project.attestations.attest("daily", "then")
        with pytest.raises(UsageError, match="there is no stage 'dayly'"):
            project.attestations.attest("dayly")
        with pytest.raises(UsageError, match="there is no key to sign with"):
            project.attestations.attest("daily", sign=True)
        with pytest.raises(UsageError, match="name the public key"):
            project.attestations.verify("daily")


def test_an_evaluation_is_attested_with_its_model(trained: Attested) -> None:
    with pytest.raises(UsageError, match="attest its model"):
        trained.attest("scores")


def test_a_branch_attests_what_it_took_over(project: Attested) -> None:
    flow = flow_of(project.root, project.text)
    with with_key(open_project(project.root, workflow=flow, env="dev"), project.key) as dev:
        assert dev.run().exit_code == 0
        made = dev.attestations.attest("model").statement
        assert len(dependencies(made)["features"]["annotations"]["files"]) == 8
        assert "source of rows" in dependencies(made)
        out = dev.attestations.attest("out", sign=True).statement
        [file] = dependencies(out)["model"]["annotations"]["files"]
        assert file.startswith("model-")
        assert all(report.is_valid for report in dev.attestations.verify("out"))


def test_what_was_read_is_found_after_it_was_replaced(quick: QuicklyAttested) -> None:
    """The inputs of a table and of a model are published again, and the table and model aren't."""
    before = {name: quick.attest(name).statement for name in ("out", "model")}
    names = pl.DataFrame({"name": ["a", "a", "b"], "id": [1, 2, 3]})
    quick.put("rows.parquet", names)
    pl.DataFrame({"id": [1, 2], "y": [1.0, 2.0]}).write_parquet(quick.root / "known.parquet")
    assert quick.run("features").exit_code == 0
    assert quick.run("known").exit_code == 0
    for name, statement in before.items():
        assert quick.attest(name).statement == statement
    now = quick.attest("features").statement
    # Those that the new partitions read are new.
    assert dependencies(now)["raw"] != dependencies(before["out"])["features"]
    quick.put("more.parquet", names.with_columns(name=pl.lit("c")))
    (quick.root / "data" / "rows.parquet").unlink()
    assert quick.run("features").exit_code == 0
    sources = dependencies(quick.attest("features").statement)["source of raw"]["annotations"]
    assert [*sources["files"]] == ["data/more.parquet"]
    assert dependencies(quick.attest("model").statement) == dependencies(before["model"])


def test_a_pipeline_of_scikit_learn_has_a_bill_of_materials(
    trained: Attested, tmp_path: Path
) -> None:
    with trained.open() as opened:
        made = opened.models["model"].bom()
        [version] = opened.models["model"].versions
        path = made.save(tmp_path / "bom.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert fault_of(document) == ""
    assert repr(made) == f"<ModelBom {document['serialNumber']}>"
    model = document["metadata"]["component"]
    assert model["hashes"] == [{"alg": "SHA-256", "content": version.artifact.object[:64]}]
    components = {each["bom-ref"]: each for each in document["components"]}
    source = {
        each["name"]: each["hashes"] for each in components["source:source of rows"]["components"]
    }
    for file in (trained.root / "data").iterdir():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert source[f"data/{file.name}"] == [{"alg": "SHA-256", "content": digest}]
    [learn] = [each for each in document["components"] if each["name"] == "scikit-learn"]
    assert learn["licenses"] == [{"expression": "BSD-3-Clause"}]
    needs = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert any(each.startswith("pkg:pypi/numpy@") for each in needs[learn["bom-ref"]])
    assert {*needs} <= {*references(document)}


def test_settings_name_the_keys_to_trust(quick: QuicklyAttested, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    create_key(other, quick.root / ".tidemill")
    with quick.open() as project:
        space = project.workspace
        for trusted, is_valid in (((f"{quick.key}.pub",), True), ((f"{other}.pub",), False)):
            space.settings = replace(
                space.settings,
                tables={
                    **space.settings.tables,
                    "attest": AttestSettings(key=str(quick.key), trusted=trusted),
                },
            )
            [report] = project.attestations.verify("model")
            assert report.is_valid is is_valid
        with pytest.raises(UsageError, match="there is no stage"):
            project.attestations.verify(str(tmp_path))


def test_without_cryptography_a_run_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = QuicklyAttested(tmp_path / "tides", ["a"])
    project.open()
    own = ("attestations", "attestation_check")
    for name in (
        *(f"tidemill.project.{each}" for each in own),
        "tidemill.governance.io.signing_keys",
    ):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    receipt = project.run()
    assert receipt.exit_code == 0
    [message] = [each for each in receipt.messages if "attested" in each]
    assert message.startswith("nothing was attested: signatures need cryptography: pip install")


def test_no_error_of_an_attestation_stops_a_run(
    quick: QuicklyAttested, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("of a bug")

    monkeypatch.setattr("tidemill.project.attestations.table_statement", fail)
    quick.put("rows.parquet", pl.DataFrame({"name": ["z"], "id": [1]}))
    receipt = quick.run()
    assert receipt.exit_code == 0
    assert "nothing was attested: KeyError: 'of a bug'" in receipt.messages
    assert [path.stem for path in (quick.root / "out").iterdir()] == ["z"]
