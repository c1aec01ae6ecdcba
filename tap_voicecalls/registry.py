"""The vendors that the tap reads. A further vendor is one more line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_voicecalls import config
from tap_voicecalls.talkdesk.vendor import TALKDESK
from tap_voicecalls.zendesk.vendor import ZENDESK

if TYPE_CHECKING:
    from tap_voicecalls.sync.stream import VendorStream
    from tap_voicecalls.vendor import Vendor

VENDORS: tuple[Vendor[Any], ...] = (
    ZENDESK,
    TALKDESK,
)

#: The streams of all vendors, by name.
STREAMS: dict[str, type[VendorStream[Any]]] = {
    vars(stream)["name"]: stream for vendor in VENDORS for stream in vendor.streams
}

#: The tap's own settings; the SDK adds some.
SETTINGS = (*config.SETTINGS, *(setting for vendor in VENDORS for setting in vendor.settings))
#: Each of these groups of settings is enough to read something.
SETTING_GROUPS = tuple(
    ("start_date", *group) for vendor in VENDORS for group in vendor.setting_groups
)
