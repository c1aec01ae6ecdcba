"""The contacts of Talkdesk's calls, and their ring attempts.

Their fields are those that public connectors and samples name; no page of Talkdesk about them was
at hand. The same call has the same contacts each time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from sandbox.history import TALKDESK_AGENTS, parse_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.history import Row

    Agent = dict[str, str]

#: How long it rings at an agent, and the wait within the service level, in seconds.
_RING_SECONDS = 12
_SERVICE_LEVEL = 20
#: What becomes of the contacts of each type of call.
_CONTACT_TYPES = {
    "inbound": "Answered",
    "missed": "Missed",
    "abandoned": "Abandoned",
    "short_abandoned": "Short Abandoned",
    "voicemail": "Voicemail",
    "outbound": "Connected",
    "outbound_missed": "Not Connected",
}
#: The field with the wait of a contact that no one answered.
_WAITS = {
    "Missed": "time_to_missed",
    "Abandoned": "abandon_time",
    "Short Abandoned": "short_abandon_time",
    "Voicemail": "time_to_voicemail",
}


@dataclass(frozen=True)
class Contact:
    """One attempt to serve a call.

    Attributes:
        call: The call.
        number: Which of the call's contacts it is, from 0.
        agent: The agent; None if no one answered.
        started_at: When it entered the queue, or was placed.
        answered_at: When it was answered or connected, or was not any more.
        ended_at: When the parties hung up, or the contact was transferred.
        finished_at: When the agent had finished the work after the call.
        is_last: Whether the call ended with it.
    """

    call: Row
    number: int
    agent: Agent | None
    started_at: datetime
    answered_at: datetime
    ended_at: datetime
    finished_at: datetime
    is_last: bool

    @property
    def id(self) -> str:
        """The contact's id."""
        return _digest("contact", self.call["call_id"], self.number)[:32]

    @property
    def wait_time(self) -> int:
        """The seconds in the queue, of which it rang for the second half."""
        return _seconds(self.answered_at - self.started_at)

    @property
    def is_inbound(self) -> bool:
        """Whether someone called the account."""
        return not str(self.call["type"]).startswith("outbound")

    def row(self) -> Row:
        """Return the row of the report `contacts`, its fields in the order of the CSV report."""
        call, agent, is_answered = self.call, self.agent, self.agent is not None
        kind = _CONTACT_TYPES.get(call["type"], call["type"])
        wait = self.wait_time
        connected_at = format_naive(self.answered_at) if is_answered else None
        hold = min(call["hold_time"] or 0, _seconds(self.ended_at - self.answered_at))
        hold = hold if self.is_last else 0
        talk = _seconds(self.ended_at - self.answered_at) - hold
        after_call_work = _seconds(self.finished_at - self.ended_at)
        waits = dict.fromkeys(_WAITS.values())
        if kind in _WAITS:
            waits[_WAITS[kind]] = wait
        return {
            "interaction_id": call["call_id"],
            "contact_id": self.id,
            "company_number": call["talkdesk_phone_number"],
            "phone_display_name": call["talkdesk_phone_display_name"],
            "contact_person_number": call["contact_phone_number"],
            "external_phone_number": None,
            "direction": "IN" if self.is_inbound else "OUT",
            "contact_type": kind,
            "started_at": format_naive(self.started_at),
            "wait_time": wait,
            **waits,
            "ring_time": wait // 2,
            "connect_time": None if self.is_inbound or not is_answered else wait,
            "answered_at": connected_at if self.is_inbound else None,
            "connected_at": connected_at,
            "talk_time": talk if is_answered else None,
            "hard_hold_time": hold if is_answered else None,
            "soft_hold_time": 0 if is_answered else None,
            "hold_time": hold if is_answered else None,
            "after_call_work_time": after_call_work if is_answered else None,
            "finished_at": format_naive(self.finished_at),
            "duration": _seconds(self.finished_at - self.started_at),
            "handle_time": talk + hold + after_call_work if is_answered else None,
            "inside_business_hours": _flag(call["is_in_business_hours"]),
            "inside_service_level": _flag(is_answered and wait <= _SERVICE_LEVEL),
            "within_service_level_threshold": _flag(wait <= _SERVICE_LEVEL),
            "transfer_out": _flag(not self.is_last),
            "transfer_out_type": None if self.is_last else "Blind",
            "transfer_in": _flag(self.number > 0),
            "transfer_in_type": "Blind" if self.number else None,
            "callback": _flag(call["is_callback_from_queue"]),
            "ring_groups": call["ring_groups"],
            "user_name": agent and agent["name"],
            "direct_assignment_user": None if self.is_inbound else "External Phone Number",
            "team_name": call["team_name"],
            "user_id": agent and agent["id"],
            "direct_assignment_ids": None,
            "team_id": call["team_id"],
            "handling_ring_groups": call["ring_groups"] if is_answered else None,
            "disconnected_by_agent": call["agent_disconnected"],
            "last_contact": _flag(self.is_last),
            "data_status": "Valid",
        }

    def ring_attempts(self) -> Iterator[Row]:
        """Yield the rows of the report `ring_attempts`: none for an outbound contact."""
        if not self.is_inbound:
            return
        random = Random(self.id)
        started_at = self.answered_at - timedelta(seconds=self.wait_time // 2)
        batch = 0
        while started_at < self.answered_at:
            finished_at = min(started_at + timedelta(seconds=_RING_SECONDS), self.answered_at)
            first, second = random.sample(TALKDESK_AGENTS, 2)
            rung = [(first, random.choice(("Ignored", "Rejected", "Device Unavailable")))]
            if self.agent is not None and finished_at == self.answered_at:
                # It rang at both, until one of them answered.
                other = first if first != self.agent else second
                rung = [(self.agent, "Answered"), (other, "Canceled")]
            for agent, outcome in rung:
                yield self._ring_attempt(batch, agent, outcome, started_at, finished_at)
            started_at, batch = finished_at, batch + 1

    def _ring_attempt(
        self,
        batch: int,
        agent: Agent,
        outcome: str,
        started_at: datetime,
        finished_at: datetime,
    ) -> Row:
        return {
            "interaction_id": self.call["call_id"],
            "contact_id": self.id,
            "batch_ring_id": _digest("batch", self.id, batch)[:32],
            "ring_attempt_id": _digest(self.id, batch, outcome),
            "attempt_type": outcome,
            "ring_started_at_time": format_naive(started_at),
            "ring_finished_at_time": format_naive(finished_at),
            "ring_attempt_duration": _seconds(finished_at - started_at),
            "user_name": agent["name"],
            "user_email": agent["email"],
            "team_name": self.call["team_name"],
        }


def contacts(call: Row) -> list[Contact]:
    """Return the contacts of a call: one, and another one after a transfer."""
    random = Random(call["call_id"])
    agents = [_agent(call, "user")]
    if call["is_transfer"]:
        agents.append(_agent(call, "handling_user"))
    started_at, ended_at = parse_utc(call["start_at"]), parse_utc(call["end_at"])
    answered_at = min(started_at + timedelta(seconds=call["wait_time"] or 0), ended_at)
    transferred_at = answered_at + timedelta(seconds=_seconds(ended_at - answered_at) // 3)
    found = []
    for number, agent in enumerate(agents):
        is_last = number == len(agents) - 1
        work = timedelta(seconds=random.randint(5, 60) if agent else 0)
        until = ended_at if is_last else transferred_at
        found.append(
            Contact(
                call=call,
                number=number,
                agent=agent,
                started_at=transferred_at if number else started_at,
                answered_at=transferred_at if number else answered_at,
                ended_at=until,
                finished_at=until + work,
                is_last=is_last,
            )
        )
    return found


def _agent(call: Row, role: str) -> Agent | None:
    if call[f"{role}_id"] is None:
        return None
    return {name: call[f"{role}_{name}"] for name in ("id", "name", "email")}


def format_naive(moment: datetime) -> str:
    """Format a moment in UTC as all reports but `calls` do."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _flag(value: object) -> str:
    return "Yes" if value else "No"


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())


def _digest(*parts: object) -> str:
    """Return 40 hexadecimal digits."""
    text = "/".join(map(str, parts))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
