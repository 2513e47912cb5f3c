"""Where a project is and what pyproject.toml says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.core.errors import UsageError
from tidemill.ledger.price import Price, PriceBook
from tidemill.project.settings import Settings, configured_secrets, find_settings
from tidemill.serving.serve_settings import ServeSettings
from tidemill.workflow.environment import RunProfile

PROJECT = '[tool.tidemill]\nworkflow = "flights:flow"\n'
QUICK = PROJECT + "[tool.tidemill.profiles.quick]\n"


def test_prices_are_a_list_or_a_few_numbers(tmp_path: Path) -> None:
    text = (
        '[metrics]\nzone = "Asia/Tokyo"\n[[prices]]\ncpu_hour = 1\n[[prices]]\nfrom = 2026-01-01\n'
    )
    tables = text.replace("[metrics]", "[tool.tidemill.metrics]").replace(
        "[[prices]]", "[[tool.tidemill.prices]]"
    )
    (tmp_path / "pyproject.toml").write_text(PROJECT + tables)
    prices = (Price(cpu_hour=1.0), Price(since=1_767_225_600.0 - 9 * 3600))
    assert find_settings(tmp_path).price_book == PriceBook(prices=prices)
    (tmp_path / "pyproject.toml").write_text(PROJECT + "cpu_hour = 1\nmemory_gb_hour = 2\n")
    short = Price(cpu_hour=1.0, memory_gb_hour=2.0)
    assert find_settings(tmp_path).price_book == PriceBook(prices=(short,))
    (tmp_path / "pyproject.toml").write_text(PROJECT + 'currency = "EUR"\n' + tables)
    with pytest.raises(UsageError, match=r"\[tool.tidemill\] currency: the prices are in"):
        find_settings(tmp_path)


def test_a_table_that_is_left_out_has_its_defaults(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "shop:flow"\n')
    assert find_settings(tmp_path) == Settings(root=tmp_path, workflow="shop:flow")


def test_the_nearest_table_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PROJECT + "cpu_hour = 0.04\n")
    # A package without the table lies between.
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'a'\n")
    assert find_settings(inner) == Settings(root=tmp_path, workflow="flights:flow", cpu_hour=0.04)
    (inner / "pyproject.toml").write_text(PROJECT)
    assert find_settings(inner).root == inner


def test_every_entry_is_taken_and_a_workflow_may_be_named_instead(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        PROJECT + 'home = "state"\ncpu_hour = 1\ncurrency = "EUR"\n'
    )
    assert find_settings(tmp_path, "other:flow") == Settings(
        root=tmp_path, workflow="other:flow", home="state", cpu_hour=1, currency="EUR"
    )


def test_without_a_project_a_named_workflow_is_enough(tmp_path: Path) -> None:
    assert find_settings(tmp_path, "m:flow") == Settings(root=tmp_path, workflow="m:flow")
    with pytest.raises(UsageError, match=r"no project here.*start one with `tidemill init`"):
        find_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.tidemill]\n", 'needs workflow = "module:name"'),
        (PROJECT + "cpu_hours = 1\n", r"cpu_hours: did you mean 'cpu_hour'\?"),
        (
            PROJECT + 'root = "x"\n',
            "root: there is: .*allow_pickle, .*cpu_hour, currency, executor, gpus, .*",
        ),
        (PROJECT + 'cpu_hour = "cheap"\n', "cpu_hour = 'cheap' is not a number"),
        (PROJECT + "home = 3\n", "home = 3 is not text"),
        (PROJECT + "workers = 1.5\n", "workers = 1.5 is not a whole number"),
        (PROJECT + "idle = nan\n", "idle = nan is not a number"),
        (PROJECT + "workers = -1\n", "workers = -1 is negative"),
        (PROJECT + 'memory = "lots"\n', "memory = 'lots' is not an amount of memory"),
        ("[tool.tidemill]\nworkflow = 7\n", "workflow = 7 is not text"),
        (PROJECT + "cpu_hour = true\n", "cpu_hour = True is not a number"),
        ("[tool.tidemill\n", r"pyproject\.toml can't be read: "),
        (PROJECT + "serve = 3\n", r"\[tool\.tidemill\] serve = 3 is not a table"),
        (PROJECT + "serve.prot = 80\n", r"\[tool\.tidemill\.serve\] prot: did you mean 'port'"),
        (PROJECT + "memory_gb_hour = -1\n", "memory_gb_hour = -1 is negative"),
        (PROJECT + "profiles = 3\n", r"\[tool\.tidemill\] profiles = 3 is not a table"),
        (
            PROJECT + "profiles.quick = 3\n",
            r"\[tool\.tidemill\] profiles\.quick = 3 is not a table",
        ),
        (
            QUICK + "samples = 0.1\n",
            r"\[tool\.tidemill\.profiles\.quick\] samples: did you mean 'sample'",
        ),
        (QUICK + 'home = "x"\n', r"profiles\.quick\] home is a setting of the whole project"),
        (
            QUICK + "sample = 1\n",
            r"profiles\.quick\] sample = 1 is not a share of rows between 0 and 1",
        ),
        (
            '[tool.tidemill]\nworkflow = "a:b"\nsecrets = "TOKEN"\n',
            "'TOKEN' is not a list of names",
        ),
        ('[tool.tidemill]\nworkflow = "a:b"\nsecrets = [1]\n', "is not a list of names"),
        (QUICK + "sample = true\n", "sample = True is not a share"),
        (QUICK + "sample = nan\n", "sample = nan is not a share"),
        (QUICK + 'sample = "all"\n', "sample = 'all' is not a share"),
        (QUICK + "params = 1\n", r"profiles\.quick\] params = 1 is not a table"),
        (QUICK + "params.model = 1\n", r"params\.model = 1 is not a table"),
        (
            QUICK + "params.model.since = 2026-01-01\n",
            r"params\.model\.since = .* is not a parameter: use num",
        ),
        (
            QUICK + "params.model.n = [{a = 10000000000000000000}]\n",
            r"params\.model\.n\[1\]\.a is a number of more than 64 bits",
        ),
        (
            '[tool.tidemill.audit]\nkey = "a\\u0000b"\n',
            r"can't be read: tool\.tidemill\.audit\.key = 'a\\x00b' has a NUL character",
        ),
        ("\ufeff[tool.tidemill]\nhome = 3\n", "home = 3 is not text"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=says):
        find_settings(tmp_path)


def test_servers_have_a_table_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"{PROJECT}[tool.tidemill.serve]\nport = 9000\n")
    assert find_settings(tmp_path).serve == ServeSettings(port=9000)


def test_profiles_are_samples_and_parameters(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(
        f"{QUICK}sample = 0.05\nparams.model = {{ rounds = 20, kinds = ['a', 1.5, true] }}\n"
        "[tool.tidemill.profiles.plain]\n"
    )
    found = find_settings(tmp_path).profiles
    assert found["quick"] == RunProfile(
        name="quick",
        sample=0.05,
        params={"model": {"rounds": 20, "kinds": ["a", 1.5, True]}},
        place=f"{file}: [tool.tidemill.profiles.quick]",
    )
    assert (found["plain"].sample, found["plain"].params) == (None, {})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="can't be read"):
        find_settings(tmp_path)


@pytest.mark.parametrize("text", ["tool = 3\n", "[tool]\ntidemill = 3\n", ""])
def test_other_files_are_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert find_settings(tmp_path, "m:flow").workflow == "m:flow"


def test_secrets_are_the_values_of_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "tide5")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)
    settings = Settings(root=tmp_path, workflow="a:b", secrets=("API_TOKEN", "EMPTY", "UNSET"))
    assert configured_secrets(settings) == {"tide5", ""}


@pytest.mark.parametrize("value", ["1", "prod", " 1234\n"])
def test_a_secret_that_could_be_any_word_is_refused(
    tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", value)
    settings = Settings(root=tmp_path, workflow="a:b", secrets=("API_TOKEN",))
    with pytest.raises(UsageError, match="API_TOKEN has fewer than 5 characters") as caught:
        configured_secrets(settings)
    assert value.strip() not in str(caught.value).split()


def test_who_is_notified_is_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.tidemill]\nworkflow = "a:b"\n[tool.tidemill.notify]\nslack = "SLACK_URL"\n'
    )
    assert [*find_settings(tmp_path).notify.channels] == ["slack"]


@pytest.mark.parametrize(
    "name", ["serve", "audit", "attest", "notify", "alerts", "oidc", "openlineage"]
)
def test_a_value_in_place_of_a_table_is_refused(tmp_path: Path, name: str) -> None:
    settings = tmp_path / "pyproject.toml"
    settings.write_text(f'[tool.tidemill]\nworkflow = "a:b"\n{name} = 5\n')
    with pytest.raises(UsageError, match=rf"\[tool.tidemill\] {name} = 5 is not a table"):
        find_settings(tmp_path)
