"""Zendesk, as the tap's registry lists it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_voicecalls.vendor import Vendor
from tap_voicecalls.zendesk import settings
from tap_voicecalls.zendesk.account import ZendeskAccount
from tap_voicecalls.zendesk.list_streams import LIST_STREAMS
from tap_voicecalls.zendesk.streams import ZendeskCalls, ZendeskLegs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_voicecalls.sync.context import RunContext


def _connect(config: Mapping[str, Any], run: RunContext) -> ZendeskAccount:
    return ZendeskAccount(settings.read_settings(config), run)


ZENDESK = Vendor(
    name="Zendesk",
    product="Zendesk Talk",
    settings=settings.SETTINGS,
    enabling_settings=settings.ENABLING_SETTINGS,
    setting_groups=settings.SETTING_GROUPS,
    check_settings=settings.read_settings,
    connect=_connect,
    streams=(ZendeskCalls, ZendeskLegs, *LIST_STREAMS),
)
