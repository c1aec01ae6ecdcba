"""The key pair of Talkdesk's OAuth client, for those who sign in place of showing a secret.

After Talkdesk's documentation ("Client credentials with a signed JWT").
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
    """A fresh key pair.

    Attributes:
        public: What signatures are checked with.
    """

    id = "sandbox-talkdesk-key"

    def __init__(self) -> None:
        """Makes the pair."""
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.public = self._private.public_key()

    @property
    def private(self) -> str:
        """The private key as Talkdesk gives it: PKCS#8 in base64."""
        return base64.b64encode(self._bytes(Encoding.DER)).decode()

    @property
    def private_pem(self) -> str:
        """The same as PEM."""
        return self._bytes(Encoding.PEM).decode()

    def _bytes(self, encoding: Encoding) -> bytes:
        return self._private.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())

    def has_signed(
        self, form: Mapping[str, str], *, client_id: str, audience: str, now: float
    ) -> bool:
        """Whether a token request carries a good assertion.

        Args:
            form: The request's form.
            client_id: Whose assertion it has to be.
            audience: The token endpoint's URL.
            now: The time, in seconds since 1970.
        """
        assertion = form.get("client_assertion", "")
        try:
            claims = jwt.decode(
                assertion,
                self.public,
                algorithms=["ES256"],
                audience=audience,
                # The times are checked below, by the sandbox's own clock.
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
