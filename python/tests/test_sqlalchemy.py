"""Columns of SQLAlchemy: sealed in the application, never in the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from contract import check
from sqlalchemy import Engine, Integer, Text, create_engine, insert, select, text, type_coerce
from sqlalchemy.exc import InvalidRequestError, StatementError
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from support.postgres import postgres

import keywheel
from keywheel.sqlalchemy import EncryptedBytes, EncryptedText
from keywheel.testing import TestRing


def people(ring: keywheel.Ring) -> Any:
    """A model of its own for each test."""

    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "people"
        id = mapped_column(Integer, primary_key=True)
        iban = mapped_column(EncryptedText(ring))
        photo = mapped_column(EncryptedBytes(ring))

    return Person


def memory() -> Engine:
    return create_engine("sqlite://")


class Rows:
    """Rows of a table in SQLite."""

    def __init__(self, ring: keywheel.Ring) -> None:
        self._person = people(ring)
        self._engine = memory()
        self._person.metadata.create_all(self._engine)

    def issue(self) -> int:
        with Session(self._engine) as session:
            person = self._person(iban="DE02", photo=b"\0")
            session.add(person)
            session.commit()
            return int(person.id)

    def accepts(self, artefact: int) -> bool:
        with Session(self._engine) as session:
            try:
                found = session.get_one(self._person, artefact)
            except keywheel.UnknownKeyError:
                return False
            return bool(found.iban == "DE02" and found.photo == b"\0")


@pytest.mark.parametrize("algorithm", ["AES-256-GCM", "Fernet", "passphrase"])
def test_the_contract(algorithm: str) -> None:
    check(Rows, algorithm=algorithm)


@pytest.fixture
def ring() -> TestRing:
    return TestRing("pii", algorithm="passphrase")


@pytest.fixture
def person(ring: TestRing) -> Any:
    return people(ring.ring)


@pytest.fixture
def session(person: Any) -> Iterator[Session]:
    engine = memory()
    person.metadata.create_all(engine)
    with Session(engine) as session:
        yield session


def test_the_database_sees_sealed_bytes(session: Session, person: Any, ring: TestRing) -> None:
    session.execute(insert(person), [{"iban": "DE02", "photo": b"\0"}, {"iban": "DE02"}])
    first, second = session.execute(text("SELECT iban FROM people")).scalars()
    assert first != second
    assert b"DE02" not in first
    assert ring.ring.unseal_text(first) == "DE02"
    assert session.execute(text("SELECT photo FROM people WHERE id = 2")).scalar() is None


def test_null_can_be_asked_and_nothing_else(session: Session, person: Any) -> None:
    session.execute(insert(person), [{"iban": "DE02", "photo": b"\0"}, {"iban": "DE02"}])
    for condition in (person.photo.is_(None), person.photo == None):  # noqa: E711
        assert session.scalars(select(person.id).where(condition)).all() == [2]
    for condition in (person.photo.is_not(None), person.photo != None):  # noqa: E711
        assert session.scalars(select(person.id).where(condition)).all() == [1]
    for ask in (
        lambda: person.iban == "DE02",
        lambda: person.iban != "DE02",
        lambda: person.iban.in_(["DE02"]),
        lambda: person.iban.like("DE%"),
        lambda: person.iban + "x",
        lambda: person.iban < "x",
        lambda: person.iban.desc(),
    ):
        with pytest.raises(InvalidRequestError, match="cannot be searched"):
            ask()


def test_what_is_no_text_is_refused(session: Session, person: Any) -> None:
    for values in ({"iban": b"DE02"}, {"photo": "text"}, {"iban": 7}):
        with pytest.raises(StatementError, match="takes"):
            session.execute(insert(person).values(**values))


def test_a_value_is_never_written_into_the_statement(person: Any) -> None:
    statement = insert(person).values(iban="DE02")
    assert "DE02" not in str(statement)
    with pytest.raises(Exception, match="never written as a literal"):
        statement.compile(compile_kwargs={"literal_binds": True})


def test_alembic_writes_the_name_of_the_ring() -> None:
    assert repr(EncryptedText("pii")) == "EncryptedText('pii')"


def test_a_column_of_text(ring: TestRing) -> None:
    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "people"
        id = mapped_column(Integer, primary_key=True)
        iban = mapped_column(EncryptedText(ring.ring, armored=True))
        photo = mapped_column(EncryptedBytes(ring.ring, armored=True))

    assert repr(EncryptedText("pii", armored=True)) == "EncryptedText('pii', armored=True)"
    key = ring.ring.secret().reveal()
    with postgres() as folder:
        engine = create_engine(f"postgresql+psycopg://owner@/postgres?host={folder}")
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            old = "INSERT INTO people VALUES (1, armor(pgp_sym_encrypt('Zürich', :key)), NULL)"
            session.execute(text(old), {"key": key})
            session.add(Person(id=2, iban="Genève", photo=b"\0\xff"))
            session.commit()
            kind = text("SELECT pg_typeof(iban)::text FROM people WHERE id = 2")
            assert session.execute(kind).scalar_one() == "text"
            query = text("SELECT pgp_sym_decrypt(dearmor(iban), :key) FROM people ORDER BY id")
            assert session.execute(query, {"key": key}).scalars().all() == ["Zürich", "Genève"]
            ring.rotate()
            found = session.scalars(select(Person).order_by(Person.id)).all()
            assert [(one.iban, one.photo) for one in found] == [
                ("Zürich", None),
                ("Genève", b"\0\xff"),
            ]
            sealed = session.scalars(select(type_coerce(Person.iban, Text))).all()
            assert set(ring.ring.unseal_text_many(sealed)) == {"Zürich", "Genève"}
        engine.dispose()


def test_rows_of_pgcrypto(person: Any, ring: TestRing) -> None:
    key = ring.ring.secret().reveal()
    with postgres() as folder:
        engine = create_engine(f"postgresql+psycopg://owner@/postgres?host={folder}")
        person.metadata.create_all(engine)
        with engine.begin() as connection:
            old = "INSERT INTO people VALUES (1, pgp_sym_encrypt('Zürich', :key), NULL)"
            connection.execute(text(old), {"key": key})
        with Session(engine) as session:
            assert session.get_one(person, 1).iban == "Zürich"
            session.add(person(id=2, iban="Genève", photo=b"\0\xff"))
            session.commit()
            query = text(
                "SELECT pgp_sym_decrypt(iban, :key), pgp_sym_decrypt_bytea(photo, :key)"
                " FROM people WHERE id = 2"
            )
            assert session.execute(query, {"key": key}).one() == ("Genève", b"\0\xff")
            ring.rotate()
            session.expire_all()
            assert session.get_one(person, 1).iban == "Zürich"
            session.get_one(person, 2).iban = "Basel"
            session.commit()
            ring.retire()
            session.expire_all()
            assert session.scalars(select(person.iban).where(person.id == 2)).one() == "Basel"
            with pytest.raises(keywheel.UnknownKeyError):
                session.get_one(person, 1)
        engine.dispose()
