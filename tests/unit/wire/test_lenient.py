"""JSON is read as Go reads it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.wire.container_config import CreateRequest
from wherry.wire.execs import ExecStartRequest
from wherry.wire.lenient import Decoder, InvalidJson

create = Decoder(CreateRequest)


def test_canonical_bodies_are_read() -> None:
    """The documented spelling is understood."""
    read = create.decode(b'{"Image":"busybox","HostConfig":{"Memory":6291456}}')
    assert read.Image == "busybox"
    assert read.HostConfig is not None
    assert read.HostConfig.Memory == 6 << 20


def test_field_names_match_in_any_case() -> None:
    """`image` and `hostconfig.MEMORY` are the documented fields."""
    read = create.decode(b'{"image":"busybox","hostconfig":{"MEMORY":1}}')
    assert read.Image == "busybox"
    assert read.HostConfig is not None
    assert read.HostConfig.Memory == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"Image":"a","Image":"b"}',
        b'{"Image":"a","image":"b"}',
        b'{"image":"x","Image":"a","iMAGE":"b"}',
        b'{"Image":"z","image":"a","Image":"b"}',
    ],
)
def test_the_last_of_duplicate_keys_wins(body: bytes) -> None:
    """Whatever their case, the spelling that comes last counts."""
    assert create.decode(body).Image == "b"


def test_null_means_absent() -> None:
    """A null scalar, list or object leaves the default."""
    body = b'{"Image":"a","User":null,"Tty":null,"HostConfig":{"Memory":null,"LogConfig":null}}'
    read = create.decode(body)
    assert (read.User, read.Tty) == ("", False)
    assert read.HostConfig is not None
    assert read.HostConfig.Memory == 0
    assert read.HostConfig.LogConfig.Type == ""


def test_null_in_a_list_is_the_zero_value() -> None:
    """Go gives an element of a list its zero value for null."""
    assert create.decode(b'{"Env":["A=b",null]}').Env == ["A=b", ""]


def test_unknown_fields_are_ignored() -> None:
    """A newer client's fields are no error, whatever is in them."""
    assert create.decode(b'{"Image":"a","Novelty":{"deep":[1,2,{"x":null}]}}').Image == "a"


def test_a_single_string_is_a_command() -> None:
    """Docker's StrSlice takes a string for a list of one."""
    assert create.decode(b'{"Cmd":"ls -l"}').Cmd == "ls -l"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"Image":5}', "cannot unmarshal number into Go struct field CreateRequest.Image of "
                         "type string"),
        (b'{"HostConfig":{"Memory":"x"}}', "cannot unmarshal string into Go struct field "
                                           "CreateRequest.HostConfig.Memory of type int64"),
        (b'{"Tty":"yes"}', "cannot unmarshal string into Go struct field CreateRequest.Tty of "
                           "type bool"),
        (b'{"Env":"A=b"}', "cannot unmarshal string into Go struct field CreateRequest.Env of "
                           "type []string"),
        (b'{"Env":{}}', "cannot unmarshal object into Go struct field CreateRequest.Env of type "
                        "[]string"),
        (b'{"HostConfig":[]}', "cannot unmarshal array into Go struct field "
                               "CreateRequest.HostConfig of type HostShape"),
        (b'{"HostConfig":{"Memory":1.5}}', "cannot unmarshal number 1.5 into Go struct field "
                                           "CreateRequest.HostConfig.Memory of type int64"),
        (b'{"HostConfig":{"Memory":true}}', "cannot unmarshal bool into Go struct field "
                                            "CreateRequest.HostConfig.Memory of type int64"),
        (b'[]', "cannot unmarshal array into Go value of type CreateRequest"),
        (b'5', "cannot unmarshal number into Go value of type CreateRequest"),
    ],
)  # fmt: skip
def test_wrong_kinds_are_refused_in_the_words_of_go(body: bytes, problem: str) -> None:
    """The field and both kinds are named."""
    with pytest.raises(InvalidJson) as refusal:
        create.decode(body)
    assert str(refusal.value) == f"json: {problem}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b'{"Image":"a"',
        b'{"Image":"a"} x',
        b'{"Image":"a"}{}',
        b'{"Image":NaN}',
        b'{"x":Infinity}',
        b'{"x":-Infinity}',
        b'{"Image":"\\ud800"}',
        b'{"x":"\\udc00\\ud800"}',
        b'\xef\xbb\xbf{"Image":"a"}',
        '{"Image":"a"}'.encode("utf-16"),
        b'{"Image":"\xff"}',
        b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"x":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
        b'{"HostConfig":{"Memory":' + b"9" * 4301 + b"}}",
        b'{"HostConfig":{"Memory":9223372036854775808}}',
        b'{"HostConfig":{"Memory":-9223372036854775809}}',
        b"{'Image':'a'}",
        b'{"Image":"a",}',
        b'{"Image":"a\n"}',
    ],
    ids=range(22),
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    """Nothing that only Python takes for JSON gets through, and nothing crashes."""
    with pytest.raises(InvalidJson):
        create.decode(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Detach", "tty", "ConsoleSize", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_read_or_refused(value: object) -> None:
    """Whatever is in a body, the answer is a shape or InvalidJson."""
    body = json.dumps(value).encode()
    try:
        read = Decoder(ExecStartRequest).decode(body)
    except InvalidJson:
        return
    assert isinstance(read.Detach, bool)
    assert isinstance(read.Tty, bool)


@settings(deadline=None)  # the first call may meet a busy machine
@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Not even bytes at random raise anything else."""
    try:
        read = create.decode(body)
    except InvalidJson:
        return
    assert isinstance(read, CreateRequest)
