"""hwcng.cng.padding: PKCS #7 and the padding records."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import given
from hypothesis import strategies as st

from hwcng.cng.padding import (
    BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO,
    BCRYPT_OAEP_PADDING_INFO,
    BCRYPT_PKCS1_PADDING_INFO,
    BCRYPT_PSS_PADDING_INFO,
)
from hwcng.errors import NTSTATUS, CngError
from hwcng.headers.bcrypt_h import BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG, BCRYPT_AUTH_MODE_IN_PROGRESS_FLAG
from hwcng.hostcrypto.modes import pad, unpad


@contextmanager
def refused(status: NTSTATUS) -> Iterator[None]:
    with pytest.raises(CngError) as caught:
        yield
    assert caught.value.status is status


class TestBlockPadding:
    @pytest.mark.row("ENC-05")
    @pytest.mark.parametrize(("length", "padded"), [(0, 16), (1, 16), (15, 16), (16, 32), (17, 32), (32, 48)])
    def test_at_least_one_byte_is_added(self, length: int, padded: int) -> None:
        assert len(pad(bytes(length))) == padded
        assert unpad(pad(bytes(length))) == bytes(length)

    @given(data=st.binary(max_size=100), block=st.sampled_from([8, 16]))
    def test_it_is_pkcs7(self, data: bytes, block: int) -> None:
        padder = PKCS7(8 * block).padder()
        assert pad(data, block) == padder.update(data) + padder.finalize()
        assert unpad(pad(data, block), block) == data

    @given(data=st.binary(max_size=30), last=st.binary(min_size=16, max_size=16) | st.sampled_from([b"\x10" * 16]))
    def test_every_block_is_judged_as_pkcs7_judges_it(self, data: bytes, last: bytes) -> None:
        padded = data[: len(data) // 16 * 16] + last
        unpadder = PKCS7(128).unpadder()
        try:
            expected = unpadder.update(padded) + unpadder.finalize()
        except ValueError:
            with refused(NTSTATUS.STATUS_DATA_ERROR):
                unpad(padded)
        else:
            assert unpad(padded) == expected

    @pytest.mark.row("DEC-04")
    @pytest.mark.parametrize(
        "tail",
        [
            b"\x00",
            b"\x11",
            b"\xff",
            b"\x01\x02",
            b"\x03\x02\x03",
            b"\x02\x03\x03",
            b"\x0f" + b"\x10" * 15,
            b"\x11" * 16,
        ],
    )
    def test_malformed_padding_is_a_data_error(self, tail: bytes) -> None:
        with refused(NTSTATUS.STATUS_DATA_ERROR):
            unpad(tail.rjust(16, b"x"))

    @pytest.mark.row("DEC-06")
    def test_an_empty_padded_input_is_a_data_error(self) -> None:
        with refused(NTSTATUS.STATUS_DATA_ERROR):
            unpad(b"")

    @pytest.mark.row("DEC-03")
    @pytest.mark.parametrize("length", [1, 15, 17, 31])
    def test_a_broken_block_is_an_invalid_size(self, length: int) -> None:
        with refused(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
            unpad(b"\x01" * length)


class TestRecords:
    def test_fields_have_their_documented_names(self) -> None:
        assert BCRYPT_PKCS1_PADDING_INFO(None) == BCRYPT_PKCS1_PADDING_INFO(pszAlgId=None)
        assert BCRYPT_PSS_PADDING_INFO("SHA256", 32) == BCRYPT_PSS_PADDING_INFO(pszAlgId="SHA256", cbSalt=32)
        assert BCRYPT_OAEP_PADDING_INFO("SHA1") == BCRYPT_OAEP_PADDING_INFO(pszAlgId="SHA1", pbLabel=b"")
        assert (BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG, BCRYPT_AUTH_MODE_IN_PROGRESS_FLAG) == (1, 2)

    def test_signature_records_do_not_change(self) -> None:
        record: Any = BCRYPT_PSS_PADDING_INFO("SHA256", 32)
        with pytest.raises(FrozenInstanceError):
            record.cbSalt = 0

    def test_positions_and_defaults_of_the_authenticated_record(self) -> None:
        record = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"nonce", b"aad", None, 12, bytearray(16), 1, 3, 4)
        assert (record.pbNonce, record.pbAuthData, record.pbTag, record.cbTag) == (b"nonce", b"aad", None, 12)
        assert (record.pbMacContext, record.dwFlags, record.cbAAD, record.cbData) == (bytearray(16), 1, 3, 4)
        plain = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"nonce")
        assert (plain.pbAuthData, plain.pbTag, plain.cbTag, plain.pbMacContext) == (b"", None, 16, None)
        assert (plain.dwFlags, plain.cbAAD, plain.cbData) == (0, 0, 0)

    def test_the_chain_is_neither_shown_nor_compared_nor_given(self) -> None:
        one, other = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n"), BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n")
        one._chain = "running state"
        assert one == other
        assert "running state" not in repr(one)
        with pytest.raises(TypeError):
            BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n", _chain=1)  # type: ignore[call-arg]


class TestTag:
    @pytest.mark.parametrize(
        ("tag", "length"),
        [
            (None, 16),
            (bytearray(12), 12),
            (memoryview(bytearray(13)), 13),
            (b"t" * 12, 16),
            (memoryview(b"t" * 12), 16),
        ],
    )
    def test_only_a_writable_buffer_sets_the_length(self, tag: Any, length: int) -> None:
        assert BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n", pbTag=tag).cbTag == length

    @pytest.mark.row("AEAD-02")
    def test_a_writable_buffer_receives_the_tag_in_place(self) -> None:
        buffer = bytearray(b"." * 16)
        record = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n", pbTag=buffer, cbTag=12)
        record.store_tag(b"t" * 12)
        assert record.pbTag is buffer
        assert buffer == b"t" * 12 + b"." * 4

    def test_any_writable_buffer_will_do(self) -> None:
        words: Any = array("I", [0] * 4)
        record = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n", pbTag=words)
        assert record.cbTag == 16
        record.store_tag(bytes(range(16)))
        assert words.tobytes() == bytes(range(16))

    @pytest.mark.parametrize("before", [None, b"the tag of the message before"])
    def test_without_a_writable_buffer_the_record_has_the_tag(self, before: bytes | None) -> None:
        record = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n", pbTag=before)
        record.check_tag_buffer()
        record.store_tag(b"t" * 16)
        assert record.pbTag == b"t" * 16
        assert record.expected_tag() == b"t" * 16

    def test_a_short_buffer_is_refused_and_left_alone(self) -> None:
        buffer = bytearray(15)
        record = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n", pbTag=buffer, cbTag=16)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            record.check_tag_buffer()
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            record.store_tag(b"t" * 16)
        assert buffer == bytes(15)

    def test_the_expected_tag_is_the_first_bytes(self) -> None:
        for tag in (b"0123456789abcdef", bytearray(b"0123456789abcdef"), memoryview(b"0123456789abcdef")):
            assert BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n", pbTag=tag, cbTag=12).expected_tag() == b"0123456789ab"

    @pytest.mark.row("AEAD-02")
    @pytest.mark.parametrize(("tag", "length"), [(None, 16), (b"short", 16), (b"0123456789abcdef", 0), (b"", 0)])
    def test_a_missing_or_short_tag_is_refused(self, tag: bytes | None, length: int) -> None:
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n", pbTag=tag, cbTag=length).expected_tag()

    def test_a_tag_cut_short_on_its_way_is_refused(self) -> None:
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n", pbTag=b"cut").expected_tag()
