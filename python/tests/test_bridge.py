"""The bridge in SQL for queries that cannot leave ``pgp_sym_decrypt`` yet."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from support.postgres import postgres

BRIDGE = Path(__file__).parent.parent.parent / "packaging/sql/pgp_sym_decrypt_any.sql"


def test_either_key_opens_and_a_third_does_not() -> None:
    with (
        postgres() as folder,
        psycopg.connect(host=folder, user="owner", dbname="postgres", autocommit=True) as db,
    ):
        for _ in range(2):
            db.execute(BRIDGE.read_text())
        ask = (
            "SELECT keywheel.pgp_sym_decrypt_any(pgp_sym_encrypt('Zürich', %s), 'new-key',"
            " 'old-key')"
        )
        for key in ("new-key", "old-key"):
            assert db.execute(ask, [key]).fetchone() == ("Zürich",)
        with pytest.raises(psycopg.errors.ExternalRoutineInvocationException):
            db.execute(ask, ["third"])
        null = "SELECT keywheel.pgp_sym_decrypt_any(NULL, 'a', 'b')"
        assert db.execute(null).fetchone() == (None,)
        db.execute("CREATE ROLE other")
        db.execute("GRANT USAGE ON SCHEMA keywheel TO other; SET ROLE other")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(null)
