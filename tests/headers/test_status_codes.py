"""A status shows as its name wherever a program prints one, on every version of Python."""

from __future__ import annotations

import json
import pickle

import pytest

from hwcng.errors import CngError
from hwcng.headers.status_codes import HRESULT, NTSTATUS, Win32Error

STATUSES = [NTSTATUS.STATUS_INVALID_PARAMETER, HRESULT.NTE_BAD_KEYSET, Win32Error.ERROR_BUSY]


@pytest.mark.parametrize("status", STATUSES)
def test_as_a_text_it_is_its_name(status: NTSTATUS | HRESULT | Win32Error) -> None:
    name = status.name
    error = CngError(status, "why")
    assert str(status) == f"{status}" == f"{status!s}" == "%s" % status == format(status) == name  # noqa: UP031
    assert f"{error.status}" == name and name in repr(status) and name in str(error)
    assert f"{status:>40}" == name.rjust(40) and f"{status:40s}" == name.ljust(40)
    assert "{0:^50}".format(status) == name.center(50)  # noqa: UP030, UP032


@pytest.mark.parametrize("status", STATUSES)
def test_as_a_number_it_is_its_number(status: NTSTATUS | HRESULT | Win32Error) -> None:
    number = int(status)
    assert f"{status:#010x}" == f"{number:#010x}" and f"{status:d}" == str(number) == "%d" % status  # noqa: UP031
    assert f"{status:,}" == f"{number:,}" and f"{status:08X}" == f"{number:08X}"
    assert json.dumps(status) == str(number)
    assert hash(status) == hash(number) and status == number
    assert pickle.loads(pickle.dumps(status)) is status
