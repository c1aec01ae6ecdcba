"""The streams of Zendesk's lists: names for the IDs in calls and legs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tap_voicecalls.counts import format_count
from tap_voicecalls.http.error_messages import printable
from tap_voicecalls.sync.full_table import FullTableStream
from tap_voicecalls.sync.slice import Slice
from tap_voicecalls.zendesk.account import ZendeskAccount
from tap_voicecalls.zendesk.list_reader import ZendeskList

if TYPE_CHECKING:
    from collections.abc import Generator

    from tap_voicecalls.sync.conform import Record
    from tap_voicecalls.timestamps import DateRange

#: Likely causes of a 403 or 404 that all lists share.
_CAUSES = "the token lacks the scope `read`; or zendesk_subdomain names another account."
_AGENT_CAUSES = f"the user behind the credentials is neither an agent nor an admin; {_CAUSES}"


class _ListStream(FullTableStream[ZendeskAccount]):
    primary_keys = ("id",)
    selected_by_default = False
    source: ClassVar[ZendeskList]

    def slices(self, date_range: DateRange) -> Generator[Slice]:  # noqa: ARG002 - all of the list
        """Read pages; each is a slice."""
        reader = self.account.list_reader(self.source, self.conformer, self.usage)
        foreign = 0
        try:
            for records in reader.pages():
                own = [record for record in records if self.includes(record)]
                foreign += len(records) - len(own)
                yield Slice(own)
        finally:
            self._log_what_is_odd(foreign, reader.repeated)

    def _log_what_is_odd(self, foreign: int, repeated: int) -> None:
        if foreign:
            self._warn(
                "left out %s that Zendesk returned unrequested.", format_count(foreign, "row")
            )
        if repeated:
            self.run.log(self.name, "%s returned twice.", format_count(repeated, "row"))
        if dropped := self.conformer.dropped:
            self.run.log(
                self.name,
                "left out %s that the schema does not define: %s.",
                format_count(len(dropped), "field"),
                printable(", ".join(sorted(dropped)))[:300],
            )

    def includes(self, record: Record) -> bool:  # noqa: ARG002
        """Whether a record belongs to the stream."""
        return True

    def progress_details(self, share: float) -> str:  # noqa: ARG002
        """Return the requests so far."""
        return format_count(self.usage.requests, "request")


class ZendeskAgents(_ListStream):
    """Agents and admins, with their names and email addresses; former agents are missing."""

    name = "zendesk_agents"
    source = ZendeskList(
        "/api/v2/users",
        parameters=(("role[]", "agent"), ("role[]", "admin")),
        causes=_AGENT_CAUSES,
    )

    def includes(self, record: Record) -> bool:
        """Whether the user is an agent or an admin: customers' data must not get anywhere."""
        return record.get("role") in {"agent", "admin"}


class ZendeskGroups(_ListStream):
    """Groups of agents, also deleted ones."""

    name = "zendesk_groups"
    source = ZendeskList(
        "/api/v2/groups", parameters=(("exclude_deleted", "false"),), causes=_AGENT_CAUSES
    )


class ZendeskPhoneNumbers(_ListStream):
    """Phone numbers and digital lines of Talk."""

    name = "zendesk_phone_numbers"
    source = ZendeskList(
        "/api/v2/channels/voice/phone_numbers",
        has_cursor=False,
        causes="Talk is not part of the account's plan; the role of the user behind the "
        f"credentials does not include Talk; {_CAUSES}",
    )


LIST_STREAMS = (ZendeskAgents, ZendeskGroups, ZendeskPhoneNumbers)
