"""Fields of Django: sealed in the application, never in the database."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import support.django_site  # noqa: F401
from contract import check
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection, connections, models
from django.db.migrations.writer import MigrationWriter
from django.db.models import F
from django.forms import modelform_factory
from support.postgres import postgres

import keywheel
from keywheel.django.fields import EncryptedBinaryField, EncryptedTextField
from keywheel.testing import TestRing

TURNED = TestRing("pii", algorithm="passphrase")


class Note(models.Model):
    body = EncryptedTextField(ring=TURNED.ring, armored=True, null=True)
    scan = EncryptedBinaryField(ring=TURNED.ring, armored=True, null=True)

    class Meta:
        app_label = "messages"
        db_table = "notes"


class Person(models.Model):
    iban = EncryptedTextField(ring=TURNED.ring, blank=True)
    photo = EncryptedBinaryField(ring=TURNED.ring, null=True)

    class Meta:
        # One that is installed, for the fixtures.
        app_label = "messages"
        db_table = "people"


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> TestRing:
    """The ring of this test, which the fields follow."""
    return follow(TestRing("pii", algorithm="passphrase"), monkeypatch)


def follow(turned: TestRing, monkeypatch: pytest.MonkeyPatch) -> TestRing:
    for name in ("iban", "photo"):
        monkeypatch.setattr(Person._meta.get_field(name), "ring", turned.ring)
    return turned


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    with connection.schema_editor() as editor:
        editor.create_model(Person)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Person)


class Rows:
    """Rows of a table in SQLite."""

    def __init__(self, ring: keywheel.Ring) -> None:
        for name in ("iban", "photo"):
            Person._meta.get_field(name).ring = ring

    def issue(self) -> int:
        return int(Person.objects.create(iban="DE02", photo=b"\0").pk)

    def accepts(self, artefact: int) -> bool:
        try:
            found = Person.objects.get(pk=artefact)
        except keywheel.UnknownKeyError:
            return False
        return bool(found.iban == "DE02" and found.photo == b"\0")


@pytest.mark.parametrize("algorithm", ["AES-256-GCM", "Fernet", "passphrase"])
def test_the_contract(algorithm: str) -> None:
    check(Rows, algorithm=algorithm)


def column(name: str, key: int) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name} FROM people WHERE id = %s", [key])
        return cursor.fetchone()[0]


def test_the_database_sees_sealed_bytes(ring: TestRing) -> None:
    first, second = Person.objects.bulk_create([Person(iban="DE02"), Person(iban="DE02")])
    assert column("iban", first.pk) != column("iban", second.pk)
    assert b"DE02" not in column("iban", first.pk)
    assert ring.ring.unseal_text(column("iban", first.pk)) == "DE02"
    assert column("photo", first.pk) is None


def test_every_way_of_writing_seals(ring: TestRing) -> None:
    person = Person.objects.create(iban="a", photo=b"1")
    Person.objects.filter(pk=person.pk).update(iban="b")
    assert Person.objects.get().iban == "b"
    person.iban, person.photo = "c", b"2"
    Person.objects.bulk_update([person], ["iban", "photo"])
    assert Person.objects.values_list("iban", "photo").get() == ("c", b"2")
    assert ring.ring.unseal_text(column("iban", person.pk)) == "c"
    # A copy of the column stays sealed.
    Person.objects.update(iban=F("iban"))
    assert Person.objects.get().iban == "c"


@pytest.mark.parametrize("lookup", ["exact", "in", "contains", "gt", "startswith", "upper"])
def test_only_null_can_be_looked_up(ring: TestRing, lookup: str) -> None:
    Person.objects.create(iban="a")
    assert Person.objects.filter(photo__isnull=True).count() == 1
    assert Person.objects.exclude(photo=None).count() == 0
    with pytest.raises(FieldError):
        Person.objects.filter(**{f"iban__{lookup}": "a"}).count()


def test_a_migration_names_the_ring_and_nothing_of_its_keys(ring: TestRing) -> None:
    text = EncryptedTextField(ring=ring.ring, null=True, editable=False)
    written, imports = MigrationWriter.serialize(text)
    assert written == (
        "keywheel.django.fields.EncryptedTextField(editable=False, null=True, ring='pii')"
    )
    assert imports == {"import keywheel.django.fields"}
    for field in (text, EncryptedBinaryField(ring="pii"), EncryptedTextField(ring="pii")):
        name, path, args, options = field.deconstruct()
        again = type(field)(*args, **options)
        assert again.deconstruct() == (name, path, args, options)
        assert again.editable == field.editable
    assert EncryptedTextField(ring="pii").editable
    assert not EncryptedBinaryField(ring="pii").editable


def test_the_checks(ring: TestRing) -> None:
    def found(field: models.Field[Any, Any]) -> list[str]:
        field.set_attributes_from_name("field")
        field.model = Person
        return [message.id for message in field.check()]

    assert found(EncryptedTextField(ring="pii", default="")) == []
    assert found(EncryptedBinaryField(ring="pii", default=b"")) == []
    assert found(EncryptedTextField(ring="pii", unique=True)) == ["keywheel.E005"]
    assert found(EncryptedTextField(ring="pii", db_index=True)) == ["keywheel.E005"]
    assert found(EncryptedTextField(ring="pii", db_default="x")) == ["keywheel.E005"]


def test_forms_and_fixtures(ring: TestRing) -> None:
    form = modelform_factory(Person, fields=["iban"])({"iban": " DE02 "})
    assert form.is_valid()
    saved = form.save()
    assert Person.objects.get().iban == "DE02"
    saved.photo = b"\0\xff"
    saved.save()
    fixture = serializers.serialize("json", Person.objects.all())
    Person.objects.all().delete()
    for loaded in serializers.deserialize("json", io.StringIO(fixture)):
        loaded.save()
    again = Person.objects.get()
    assert (again.iban, bytes(again.photo)) == ("DE02", b"\0\xff")


def test_what_is_no_bytes_is_refused(ring: TestRing) -> None:
    with pytest.raises(TypeError, match="takes bytes"):
        Person.objects.create(photo="text")


def test_rows_of_pgcrypto(ring: TestRing) -> None:
    key = ring.ring.secret().reveal()
    with postgres() as folder:
        settings = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres"}
        defaults = connections["default"].settings_dict
        connections.settings["pg"] = {**defaults, **settings, "HOST": folder, "USER": "owner"}
        try:
            with connections["pg"].schema_editor() as editor:
                editor.create_model(Person)
            people = Person.objects.using("pg")
            with connections["pg"].cursor() as cursor:
                insert = "INSERT INTO people (iban) VALUES (pgp_sym_encrypt('Zürich', %s))"
                cursor.execute(insert, [key])
                old = people.get()
                assert old.iban == "Zürich"
                new = people.create(iban="Genève", photo=b"\0\xff")
                cursor.execute(
                    "SELECT pgp_sym_decrypt(iban, %s), pgp_sym_decrypt_bytea(photo, %s)"
                    " FROM people WHERE id = %s",
                    [key, key, new.pk],
                )
                text, photo = cursor.fetchone()
                assert (text, bytes(photo)) == ("Genève", b"\0\xff")
            ring.rotate()
            assert people.get(pk=old.pk).iban == "Zürich"
            old.save(using="pg")
            ring.retire()
            assert people.get(pk=old.pk).iban == "Zürich"
            with pytest.raises(keywheel.UnknownKeyError):
                people.get(pk=new.pk)
        finally:
            connections["pg"].close()
            del connections.settings["pg"]


@pytest.mark.parametrize("algorithm", ["Fernet", "passphrase"])
def test_a_column_of_text(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = TestRing("pii", algorithm=algorithm).ring
    for name in ("body", "scan"):
        monkeypatch.setattr(Note._meta.get_field(name), "ring", ring)
    field = Note._meta.get_field("body")
    assert field.deconstruct()[3] == {"armored": True, "null": True, "ring": "pii"}
    assert field.db_type(connection) == "text"
    with connection.schema_editor() as editor:
        editor.create_model(Note)
    try:
        note = Note.objects.create(body="Zürich", scan=b"\0\xff")
        with connection.cursor() as cursor:
            cursor.execute("SELECT body, scan FROM notes")
            body, scan = cursor.fetchone()
        assert isinstance(body, str)
        assert ring.unseal_many([body, scan]) == ["Zürich".encode(), b"\0\xff"]
        Note.objects.filter(pk=note.pk).update(body="Basel")
        found = Note.objects.get(body__isnull=False)
        assert (found.body, bytes(found.scan)) == ("Basel", b"\0\xff")
        Note.objects.update(body=None)
        assert Note.objects.get().body is None
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Note)
