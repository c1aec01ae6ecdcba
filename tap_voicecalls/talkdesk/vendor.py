"""Talkdesk, as the tap's registry lists it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_voicecalls.talkdesk import settings
from tap_voicecalls.talkdesk.account import TalkdeskAccount
from tap_voicecalls.talkdesk.streams import (
    TalkdeskCalls,
    TalkdeskContacts,
    TalkdeskRingAttempts,
    TalkdeskUserStatus,
)
from tap_voicecalls.vendor import Vendor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_voicecalls.sync.context import RunContext


def _connect(config: Mapping[str, Any], run: RunContext) -> TalkdeskAccount:
    return TalkdeskAccount(settings.read_settings(config), run)


TALKDESK = Vendor(
    name="Talkdesk",
    product="Talkdesk Explore",
    settings=settings.SETTINGS,
    enabling_settings=settings.ENABLING_SETTINGS,
    setting_groups=settings.SETTING_GROUPS,
    check_settings=settings.read_settings,
    connect=_connect,
    streams=(TalkdeskCalls, TalkdeskContacts, TalkdeskRingAttempts, TalkdeskUserStatus),
)
