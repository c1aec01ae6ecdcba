"""The key pair of the Talkdesk OAuth client, for signed JWT assertions instead of a secret.

Follows Talkdesk's documentation ("Client credentials with a signed JWT").
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ClientKey:
    """A new EC key pair.

    Attributes:
        public: The public key, which verifies signatures.
    """

    id = "sandbox-talkdesk-key"

    def __init__(self) -> None:
        """Generate the key pair."""
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.public = self._private.public_key()

    @property
    def private(self) -> str:
        """The private key in Talkdesk's format: base64-encoded PKCS#8."""
        return base64.b64encode(self._private_bytes(Encoding.DER)).decode()

    @property
    def private_pem(self) -> str:
        """The private key as PEM."""
        return self._private_bytes(Encoding.PEM).decode()

    def _private_bytes(self, encoding: Encoding) -> bytes:
        return self._private.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())

    def verify_assertion(
        self, form: Mapping[str, str], *, client_id: str, audience: str, now: float
    ) -> bool:
        """Return whether a token request carries a valid assertion signed with this key.

        Args:
            form: The form fields of the request.
            client_id: The expected issuer and subject.
            audience: The expected audience: the URL of the token endpoint.
            now: The current Unix time.
        """
        assertion = form.get("client_assertion", "")
        try:
            claims = jwt.decode(
                assertion,
                self.public,
                algorithms=["ES256"],
                audience=audience,
                # The timestamps are checked below, against the sandbox's clock.
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "require": ["iss", "sub", "jti", "iat", "exp"],
                },
            )
        except jwt.InvalidTokenError:
            return False
        return (
            form.get("client_assertion_type") == ASSERTION_TYPE
            and claims["iss"] == claims["sub"] == client_id
            and jwt.get_unverified_header(assertion).get("kid") == self.id
            and claims["iat"] - 5 <= now < claims["exp"]
        )
