"""How the Platform Crypto Provider tells of itself (bcrypt.h: BCRYPT_PCP_PLATFORM_TYPE_PROPERTY,
BCRYPT_PCP_PROVIDER_VERSION_PROPERTY; ncrypt.h has the same names).
"""

from __future__ import annotations

from importlib import metadata

from hwcng.contract.provider import Provider

__all__ = ["platform_type", "provider_version", "version"]


def version() -> tuple[int, int]:
    """hwcng's, major and minor."""
    major, minor, *_ = (int(number) for number in metadata.version("hwcng").split("."))
    return major, minor


def platform_type(provider: Provider) -> str:
    """Such as "TPM-Version:2.0 -Level:0-Revision:1.16-VendorID:'INTC'-Firmware:720897.123". Raises STATUS_NOT_SUPPORTED
    for a token that is part of no platform.
    """
    platform = provider.platform()
    major, minor = divmod(platform.revision, 100)
    numbers = ".".join(map(str, platform.firmware))
    return (
        f"TPM-Version:{platform.family:4}-Level:{platform.level}-Revision:{major}.{minor:02}"
        f"-VendorID:'{platform.manufacturer}'-Firmware:{numbers}"
    )


def provider_version(provider: Provider) -> str:
    """hwcng's own, such as "v01.00". Raises as `platform_type`."""
    provider.platform()
    major, minor = version()
    return f"v{major:02}.{minor:02}"
