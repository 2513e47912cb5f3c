"""Declarations of sources that other tools load."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import DeclarationError
from tidemill.workflow.loaders import dbt, dlt


class TestDlt:
    def test_what_is_declared(self) -> None:
        source = dlt(print, name="orders", max_missing=0.5)
        assert (source.resource, source.name, source.max_missing) == (print, "orders", 0.5)

    def test_a_resource_needs_no_import_of_dlt(self) -> None:
        kind = type("DltResource", (), {"__module__": "dlt.extract.resource"})
        resource = kind()
        assert dlt(resource).resource is resource

    @pytest.mark.parametrize("given", [[{"a": 1}], "orders", None])
    def test_what_is_no_resource(self, given: Any) -> None:
        with pytest.raises(DeclarationError, match="is not a resource of dlt"):
            dlt(given)

    def test_a_share_is_between_0_and_1(self) -> None:
        with pytest.raises(DeclarationError, match="max_missing=20 is not a share"):
            dlt(print, max_missing=20)


class TestDbt:
    def test_what_is_declared(self) -> None:
        source = dbt("shop", "orders", "duckdb:///shop.duckdb", cursor="version", max_missing=0.5)
        query = source.query('"shop"."main"."orders"')
        assert query.query == 'SELECT * FROM "shop"."main"."orders"'
        assert (query.url, query.cursor, query.max_missing) == (source.url, "version", 0.5)
        assert (source.target, source.built, source.on_missing) == ("target", True, "fail")

    def test_the_url_is_not_shown(self) -> None:
        assert "secret" not in repr(dbt("shop", "orders", "postgresql://me:secret@host/shop"))

    def test_all_faults_are_named_at_once(self) -> None:
        with pytest.raises(DeclarationError) as found:
            dbt(" ", "", "nowhere", max_missing=2.0)
        says = str(found.value)
        for part in ("project is empty", "model is empty", "known scheme", "max_missing=2.0"):
            assert part in says
        assert "tm.sql" not in says
