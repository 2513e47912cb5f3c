"""People log in at a real provider, act by their names, and stop when the login doesn't count."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.identity_provider import MISSING, Person, identity_provider, put_in_groups
from tests.support.users import USER
from tidemill.core.errors import AccessError, SourceError, UsageError
from tidemill.governance.oidc_settings import OidcSettings
from tidemill.ports.identity import IdentityProvider
from tidemill.project import logins
from tidemill.project.logins import Logins

needs_provider = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with identity_provider() as found:
        yield found


def opened(issuer: str, folder: Path) -> Logins:
    settings = OidcSettings(issuer=issuer, client_id="tidemill")
    return Logins(settings, folder=folder, sleep=lambda _: time.sleep(0.05))


@needs_provider
@pytest.mark.parametrize("browser", [False, True])
def test_who_logs_in_acts_until_logout(issuer: str, tmp_path: Path, browser: bool) -> None:
    found = opened(issuer, tmp_path / "logins")
    assert found.actor() is None
    person = Person("ana")
    actor = found.login(person.follow, browser=browser)
    for thread in person.followed:
        thread.join()
    assert (actor.name, str(actor.kind)) == ("ana@example.org", "login")
    # In reviews both names are one person.
    assert actor.vouched_by == (USER,)
    assert opened(issuer, tmp_path / "logins").actor() == actor
    (file,) = (tmp_path / "logins").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert found.logout()
    assert not found.logout()
    assert found.actor() is None


@needs_provider
def test_an_address_that_is_not_verified_logs_nobody_in(issuer: str, tmp_path: Path) -> None:
    found = opened(issuer, tmp_path)
    with pytest.raises(AccessError, match="hasn't verified"):
        found.login(Person("mallory").follow)
    assert found.actor() is None


@needs_provider
def test_an_edited_login_is_refused(issuer: str, tmp_path: Path) -> None:
    found = opened(issuer, tmp_path)
    found.login(Person("ana").follow)
    (file,) = tmp_path.iterdir()
    kept = json.loads(file.read_text())
    header, payload, signature = kept["id_token"].split(".")
    forged = f"{header}.{payload[:-2]}AA.{signature}"
    file.write_text(json.dumps({"id_token": forged, "refresh_token": ""}))
    with pytest.raises(AccessError, match=r"isn't valid.*tidemill login.*tidemill logout"):
        found.actor()
    file.write_text("{}")
    with pytest.raises(AccessError, match="can't be read"):
        found.actor()


@needs_provider
def test_an_expired_login_is_renewed_or_refused(issuer: str, tmp_path: Path) -> None:
    opened(issuer, tmp_path).login(Person("ana").follow)
    (file,) = tmp_path.iterdir()
    kept = json.loads(file.read_text())
    # The provider issues tokens for an hour.
    ahead = Logins(
        OidcSettings(issuer=issuer, client_id="tidemill"),
        folder=tmp_path,
        clock=lambda: time.time() + 3600 + 61,
    )
    file.write_text(json.dumps({**kept, "refresh_token": ""}))
    with pytest.raises(AccessError, match="expired"):
        ahead.actor()
    file.write_text(json.dumps({**kept, "id_token": "damaged"}))
    renewed = opened(issuer, tmp_path).actor()
    assert renewed is not None
    assert renewed.name == "ana@example.org"
    assert json.loads(file.read_text())["id_token"] != "damaged"


@needs_provider
def test_a_login_is_proved_again_without_asking_for_the_keys_again(
    issuer: str, tmp_path: Path
) -> None:
    asked: list[str] = []

    def open_provider(settings: OidcSettings) -> IdentityProvider:
        asked.append(settings.issuer)
        return logins.open_provider(settings)

    opened(issuer, tmp_path).login(Person("ana").follow)
    found = Logins(
        OidcSettings(issuer=issuer, client_id="tidemill"),
        folder=tmp_path,
        open_provider=open_provider,
    )
    first = found.actor()
    assert found.actor() == first
    assert len(asked) == 1
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps({**json.loads(file.read_text()), "id_token": "damaged"}))
    # It is renewed, by the keys that the provider has now.
    assert found.actor() == first
    assert len(asked) == 2
    opened(issuer, tmp_path).login(Person("ben").follow)
    other = found.actor()
    assert other is not None
    assert other.name == "ben@example.org"
    found.logout()
    assert found.actor() is None
    assert len(asked) == 2


@needs_provider
def test_groups_are_those_of_the_last_login(issuer: str, tmp_path: Path) -> None:
    settings = OidcSettings(
        issuer=issuer, client_id="tidemill", scopes=("openid", "email", "groups"),
        groups_claim="groups",
    )  # fmt: skip
    logins = Logins(settings, folder=tmp_path, sleep=lambda _: time.sleep(0.05))
    put_in_groups(issuer, "gil", "leads", "night")
    assert logins.login(Person("gil").follow).groups == {"leads", "night"}
    put_in_groups(issuer, "gil", "night")
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps({**json.loads(file.read_text()), "id_token": "ended"}))
    renewed = logins.actor()
    assert renewed is not None
    assert renewed.groups == {"night"}
    # Without a claim in the settings groups of a provider count nothing.
    plain = Logins(replace(settings, groups_claim=""), folder=tmp_path).actor()
    assert plain is not None
    assert plain.groups == frozenset()


@needs_provider
def test_nobody_completes_a_login(
    issuer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "_BROWSER_WAIT_S", 0.05)
    with pytest.raises(AccessError, match="nobody completed"):
        opened(issuer, tmp_path).login(lambda _: None, browser=True)
    times = iter([0.0, 0.0, 10_000.0])
    slow = Logins(
        OidcSettings(issuer=issuer, client_id="tidemill"),
        folder=tmp_path,
        clock=lambda: next(times),
        sleep=lambda _: None,
    )
    with pytest.raises(AccessError, match="nobody completed"):
        slow.login(lambda _: None)


def test_a_login_needs_its_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = opened("http://127.0.0.1:1", tmp_path)
    with pytest.raises(SourceError, match="can't be reached"):
        gone.login(lambda _: None)
    trusting = OidcSettings(issuer="http://127.0.0.1:1", client_id="a", ca_file="none.pem")
    with pytest.raises(UsageError, match=r"none\.pem is no file \(ca_file"):
        Logins(trusting, folder=tmp_path).login(lambda _: None)
    secret = OidcSettings(issuer="http://127.0.0.1:1", client_id="a", client_secret="NO_SECRET")
    with pytest.raises(UsageError, match="NO_SECRET holds no client secret"):
        Logins(secret, folder=tmp_path).login(lambda _: None)
    monkeypatch.setenv("NO_SECRET", "a secret")
    with pytest.raises(SourceError, match="can't be reached"):
        Logins(secret, folder=tmp_path).login(lambda _: None)
