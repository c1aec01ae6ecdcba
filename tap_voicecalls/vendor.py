"""What the tap knows about a vendor: its settings, its account, its streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_sdk import typing as th

    from tap_voicecalls.sync.context import RunContext
    from tap_voicecalls.sync.stream import VendorAccount, VendorStream

AccountT = TypeVar("AccountT", bound="VendorAccount")


@dataclass(frozen=True)
class Vendor(Generic[AccountT]):
    """The description of one vendor; `registry.py` lists them.

    Attributes:
        name: The vendor's name, for messages.
        product: The product that the tap reads, for messages.
        settings: The vendor's settings, all with one prefix.
        enabling_settings: Any of these set means that the vendor is wanted. The other settings
            have defaults, which the SDK fills in.
        setting_groups: Each of these is enough to read the vendor, next to `start_date`.
        check_settings: Raises `ConfigError` for settings that are missing or malformed.
        connect: Makes the account that the vendor's streams share. It sends no request yet.
        streams: The vendor's streams.
    """

    name: str
    product: str
    settings: tuple[th.Property[Any], ...]
    enabling_settings: tuple[str, ...]
    setting_groups: tuple[tuple[str, ...], ...]
    check_settings: Callable[[Mapping[str, Any]], object]
    connect: Callable[[Mapping[str, Any], RunContext], AccountT]
    streams: tuple[type[VendorStream[AccountT]], ...]

    def is_enabled(self, config: Mapping[str, Any]) -> bool:
        """Whether the settings ask for this vendor."""
        return any(name in config for name in self.enabling_settings)
