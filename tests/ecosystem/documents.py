"""Signed documents."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pyca import certificates

if TYPE_CHECKING:
    from ecosystem.keys import HeldKey

__all__ = ["pyhanko"]


def _blank() -> io.BytesIO:
    """A PDF of one page."""
    from pyhanko.pdf_utils.generic import StreamObject
    from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

    writer = PdfFileWriter()
    nothing = writer.add_object(StreamObject(stream_data=b""))
    writer.insert_page(PageObject(contents=nothing, media_box=(0, 0, 200, 200)))
    written = io.BytesIO()
    writer.write(written)
    return written


def pyhanko(held: HeldKey) -> None:
    """A signature in a PDF, which pyHanko then validates."""
    from asn1crypto import x509
    from cryptography.hazmat.primitives.serialization import Encoding
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign import PdfSignatureMetadata, sign_pdf
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    from hwcng.interop.pyhanko import TokenSigner

    certificate = certificates.certificate(held.private, "hwcng")
    for prefer_pss in (False, True) if held.is_rsa else (False,):
        signer = TokenSigner(held.pair, [certificate], prefer_pss=prefer_pss)
        signed = sign_pdf(
            IncrementalPdfFileWriter(_blank()), PdfSignatureMetadata(field_name="Signature"), signer=signer
        )
        root = x509.Certificate.load(certificate.public_bytes(Encoding.DER))
        (signature,) = PdfFileReader(signed).embedded_signatures
        context = ValidationContext(trust_roots=[root], allow_fetching=False)
        status = validate_pdf_signature(signature, context)
        assert status.intact and status.valid and signature.signed_data["signer_infos"]
