"""Descriptions of JSON objects: what is read and written, and which ones are wrong."""

import pytest

from wherry.kit.values import dataclass, field
from wherry.oci.json_fields import UINT16
from wherry.oci.shapes import Shape, flag, many, number, text, texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A leg of a pet."""

    toes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pet:
    """A value with a field of each sort: demanded, by default, by a factory."""

    full_name: str
    class_: str = "cat"
    is_tame: bool = True
    legs: tuple[Leg, ...] = ()
    foods: tuple[str, ...] = field(default_factory=tuple)


LEG = Shape(Leg, toes=number(UINT16))
PET = Shape(
    Pet,
    keeps=("class_",),
    refuses=("owner",),
    full_name=text(),
    class_=text(),
    is_tame=flag("tame"),
    legs=many(LEG),
    foods=texts(),
)
PLAIN = {"fullName": "Tim", "class": "cat"}


def test_absent_members_are_defaults() -> None:
    """Absent and null are the same; unknown members are passed over."""
    absent = dict.fromkeys(("tame", "legs", "foods"))
    assert PET.from_json({"fullName": "Tim", "colour": "red", **absent}, "") == Pet(
        full_name="Tim"
    )


def test_defaults_are_not_written_unless_kept() -> None:
    """A field that is at its default says nothing; others are written, false ones too."""
    assert PET.to_json(Pet(full_name="Tim")) == PLAIN
    wild = Pet(full_name="Tim", is_tame=False, legs=(Leg(toes=0),))
    assert PET.to_json(wild) == {**PLAIN, "tame": False, "legs": [{"toes": 0}]}
    assert PET.from_json(PET.to_json(wild), "") == wild


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({}, "pet.fullName: missing"),
        ({**PLAIN, "legs": [{"toes": 1}, {}]}, r"pet.legs\[1\].toes: missing"),
        ({**PLAIN, "tame": 1}, "pet.tame: expected a boolean, not 1"),
        ({**PLAIN, "owner": "Ann"}, "pet.owner: not supported"),
        ([], "pet: expected an object"),
    ],
)
def test_a_complaint_names_the_place(document: object, complaint: str) -> None:
    """Where in the document it is, however deep, and what is wrong."""
    with pytest.raises(ValueError, match=complaint):
        PET.from_json(document, "pet")


def test_a_description_has_all_fields_and_no_others() -> None:
    """A field that is forgotten, or one that is not there, is a mistake at import."""
    with pytest.raises(TypeError, match="toes"):
        Shape(Leg)
    with pytest.raises(TypeError, match="nails"):
        Shape(Leg, toes=number(UINT16), nails=number(UINT16))
