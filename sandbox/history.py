"""Realistic call histories generated from a seed, including awkward values seen in real data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from random import Random
from typing import Any

from sandbox import directory

Row = dict[str, Any]

#: Files of example rows, one for each stream.
EXAMPLES = tuple(
    sorted(
        path.name.removesuffix(".json")
        for path in files("sandbox.examples").iterdir()
        if path.name.endswith(".json")
    )
)

_AGENTS = (
    ("Zoë Ångström", 360088814475),
    ("Jordan Smith", 382203616913),
    ("Łukasz Żak", 397531287412),
    ("María-José O'Neill", 28204722703636),
    ("李 明", 31274722703701),
)
#: The agents as Talkdesk has them.
TALKDESK_AGENTS = tuple(
    {"id": f"{number:024x}", "name": name, "email": f"agent{number % 97}@example.com"}
    for name, number in _AGENTS
)
_PREFIXES = ("+1202555", "+44207946", "+49301234", "+33155512", "+8135550")
_NOTES = (
    None,
    "Wants a refund.",
    'Said: "call me back"\nafter 17:00',
    "Façade: très pressé; naïve",
    "Tab\there, back\\slash, emoji 📞",
)
_GROUPS = ("agents", "billing", "support+overflow")
#: The call volume by hour of the day (UTC) and by day of the week (from Monday), in percent of the
#: busiest.
_BY_HOUR = (2, 1, 1, 1, 2, 4, 10, 28, 62, 90, 100, 92, 68, 74, 88, 84, 72, 52, 34, 22, 15, 10, 6, 3)
_BY_WEEKDAY = (100, 91, 87, 84, 77, 27, 15)
#: The distribution of Zendesk's `completion_status`, by direction, in percent.
_COMPLETION_STATUSES = {
    "inbound": {
        "completed": 82,
        "abandoned_in_queue": 9,
        "abandoned_in_ivr": 3,
        "abandoned_in_voicemail": 2,
        "abandoned_on_hold": 2,
        "pending_voicemail": 2,
    },
    "outbound": {"completed": 95, "failed": 5},
}
#: The distribution of Talkdesk's `type`, in percent.
_CALL_TYPES = {
    "inbound": 55,
    "outbound": 25,
    "abandoned": 6,
    "missed": 4,
    "outbound_missed": 4,
    "short_abandoned": 3,
    "voicemail": 3,
}


@dataclass
class History:
    """The rows of both vendors, by id; at first the documented ones.

    Attributes:
        zendesk: The rows of each resource, such as `calls`; customers are among the `agents`.
        talkdesk_calls: The calls.
    """

    zendesk: dict[str, dict[int, Row]] = field(
        default_factory=lambda: {
            name.removeprefix("zendesk_"): {row["id"]: row for row in example(name)}
            for name in EXAMPLES
            if name.startswith("zendesk_")
        }
    )
    talkdesk_calls: dict[str, Row] = field(
        default_factory=lambda: {row["call_id"]: row for row in example("talkdesk_calls")}
    )


class HistoryGenerator:
    """Generates rows; the same seed generates the same rows."""

    def __init__(self, seed: int) -> None:
        """Seed the generator."""
        self._random = Random(seed)
        self._next_id = 32274722703636
        #: The phone number of each line that a Zendesk call used.
        self._lines = {10062: "+13308828232"}  # of the documented example

    def generate(self, *, calls: int, days: float, now: datetime) -> History:
        """Return a history with `calls` calls of each vendor over the `days` before `now`."""
        history = History()
        zendesk_calls, zendesk_legs = history.zendesk["calls"], history.zendesk["legs"]
        for started_at in self._start_times(calls, days, now):
            row = self.zendesk_call(started_at, newest=now)
            zendesk_calls[row["id"]] = row
            zendesk_legs.update((leg["id"], leg) for leg in self.zendesk_legs(row))
        agents = (*_AGENTS, ("Avery Example", 10011))  # the last one of the documented example
        history.zendesk["agents"] |= directory.users(agents)
        history.zendesk["groups"] |= directory.groups()
        history.zendesk["phone_numbers"] |= self.zendesk_phone_numbers()
        for started_at in self._start_times(calls, days, now):
            row = self.talkdesk_call(started_at)
            history.talkdesk_calls[row["call_id"]] = row
        return history

    def _start_times(self, count: int, days: float, now: datetime) -> list[datetime]:
        """Return start times that follow the call volume, with some bursts within one second."""
        start_times: list[datetime] = []
        span = days * 86_400 - 7200
        while len(start_times) < count:
            at = now - timedelta(seconds=int(7200 + self._random.random() * span))
            volume = _BY_HOUR[at.hour] * _BY_WEEKDAY[at.weekday()] / 10_000
            if self._random.random() < volume:
                burst = 1 if self._random.random() < 0.95 else self._random.randint(2, 5)  # noqa: PLR2004
                start_times += [at] * burst
        return sorted(start_times[:count])

    def zendesk_call(self, started_at: datetime, *, newest: datetime | None = None) -> Row:
        """Return a Zendesk call with all fields that the API returns.

        Args:
            started_at: The start of the call.
            newest: The maximum `updated_at`.
        """
        random = self._random
        direction = random.choices(("inbound", "outbound"), (7, 3))[0]
        inbound = direction == "inbound"
        status = self._weighted_choice(_COMPLETION_STATUSES[direction])
        # `completed` includes outbound calls that the customer did not answer, and inbound calls
        # that ended in voicemail or otherwise without an agent.
        no_agent = status == "completed" and random.random() < 0.1  # noqa: PLR2004
        answered = status in {"completed", "abandoned_on_hold"} and not no_agent
        talk = self._talk_time() if answered else 0 if no_agent else None
        wait = self._wait_time() if inbound else random.randint(0, 30)
        updated_at = started_at + timedelta(
            seconds=(talk or 0) + wait + random.choice((60, 60, 2400, 2400, 10_800))
        )
        if newest is not None:
            updated_at = min(updated_at, newest)
        number = self._number()
        line_id = 360000000000 + random.randint(1, 5)
        number = self._lines.setdefault(line_id, number)
        return {
            "id": self._id(),
            "created_at": format_utc(started_at),
            "updated_at": format_utc(updated_at),
            "agent_id": random.choice(_AGENTS)[1] if answered else None,
            "customer_id": 365000000000 + random.randint(1, 99_999),
            "ticket_id": random.choice((None, random.randint(1, 9999))),
            "call_group_id": random.choice((None, 360006000000 + random.randint(1, 9))),
            "phone_number": number,
            "phone_number_id": line_id,
            "line": random.choice((None, number)),
            "line_id": random.choice((None, line_id)),
            "line_type": "phone",
            "call_channel": random.choice((None, "phone", "web-widget")),
            "direction": direction,
            "completion_status": status,
            "duration": (talk or 0) + wait,
            "talk_time": talk,
            "wait_time": wait,
            "hold_time": self._hold_time() if answered else 0 if no_agent else None,
            "consultation_time": 0 if answered else None,
            "wrap_up_time": random.randint(0, 120) if answered else None,
            "time_to_answer": wait if answered else None,
            "recording_time": talk,
            "not_recording_time": 0,
            "recording_control_interactions": 0,
            "ivr_action": None,
            "ivr_destination_group_name": None,
            "ivr_hops": None,
            "ivr_routed_to": None,
            "ivr_time_spent": None,
            "minutes_billed": -(-(talk or 0) // 60),
            "call_charge": random.choice((None, "0.062", "0.025", "1.230000")),
            "exceeded_queue_wait_time": False if answered else None,
            "outside_business_hours": False if answered else None,
            "customer_requested_voicemail": False,
            "default_group": random.choice((None, True, False)),
            "voicemail": "voicemail" in status or (no_agent and inbound and random.random() < 0.8),  # noqa: PLR2004
            "callback": None if status == "failed" else False,
            "callback_source": None,
            "overflowed": False,
            "overflowed_to": None,
            "call_recording_consent": "always",
            "call_recording_consent_action": None,
            "call_recording_consent_keypress": None,
            "quality_issues": ["information_not_available"],
            "post_call_transcription_created": None,
            "post_call_summary_created": None,
            "post_call_summary": None,
            "post_call_transcription": None,
            "real_time_transcription": None,
            "transcription_language": None,
            "copilot_suggestions_generated_successful": None,
            "copilot_suggestions_generated_total": None,
        }

    def zendesk_phone_numbers(self) -> dict[int, Row]:
        """Return the phone numbers, by id: those of the calls so far, and others."""
        return directory.phone_numbers(self._lines)

    def zendesk_legs(self, call: Row) -> list[Row]:
        """Return the legs of a call, all with its `updated_at`.

        There is one leg of the customer, one of each agent who missed or declined the call, and
        one of each agent who talked to the customer (two if the first transferred the call).
        """
        random = self._random
        wait, talk = call["wait_time"], call["talk_time"]
        legs = [self._leg(call, "customer", talk=talk)]
        for _ in range(random.choice((0, 0, 0, 1, 1, 2))):
            status = random.choice(("agent_missed", "agent_declined"))
            legs.append(self._leg(call, "agent", status=status, after=random.randint(0, wait)))
        if (agent_id := call["agent_id"]) is not None:
            transferred = random.random() < 0.1  # noqa: PLR2004
            first = talk // 3 if transferred else talk
            legs.append(self._leg(call, "agent", agent_id=agent_id, after=wait, talk=first))
            if transferred:
                legs.append(self._leg(call, "agent", after=wait + first, talk=talk - first))
        return legs

    def _leg(  # noqa: PLR0913
        self,
        call: Row,
        kind: str,
        *,
        agent_id: int | None = None,
        status: str = "completed",
        after: int = 0,
        talk: int | None = 0,
    ) -> Row:
        random = self._random
        is_customer = kind == "customer"
        call_started_at = datetime.fromisoformat(call["created_at"].replace("Z", "+00:00"))
        return {
            "id": self._id(),
            "call_id": call["id"],
            "created_at": format_utc(call_started_at + timedelta(seconds=after)),
            "updated_at": call["updated_at"],
            "type": kind,
            "agent_id": 0 if is_customer else agent_id or random.choice(_AGENTS)[1],
            "user_id": random.choice((None, call["customer_id"])) if is_customer else 0,
            "available_via": None if is_customer else "browser",
            "completion_status": status,
            "duration": call["duration"],
            "hold_time": 0,
            "talk_time": talk,
            "wrap_up_time": None if is_customer else random.randint(0, 60),
            "consultation_time": None,
            "conference_time": None,
            "conference_from": None,
            "conference_to": None,
            "consultation_from": None,
            "consultation_to": None,
            "transferred_from": None,
            "transferred_to": None,
            "minutes_billed": None,
            "call_charge": random.choice(("0.0", "0.059", None)),
            "forwarded_to": None,
            "quality_issues": ["none"],
        }

    def talkdesk_call(self, started_at: datetime) -> Row:
        """Return a Talkdesk call with the fields of the Calls report, in its order."""
        random = self._random
        kind = self._weighted_choice(_CALL_TYPES)
        answered = kind in {"inbound", "outbound"}
        talk = self._talk_time() if answered else 0
        wait = random.randint(0, 30) if kind.startswith("outbound") else self._wait_time()
        agent = random.choice(TALKDESK_AGENTS)
        transferred = kind == "inbound" and random.random() < 0.1  # noqa: PLR2004
        handling = random.choice(TALKDESK_AGENTS) if transferred else agent
        call_id = f"{random.getrandbits(128):032x}"
        row: Row = dict.fromkeys(_TALKDESK_FIELDS)
        row |= {
            "call_id": call_id,
            "callsid": f"CA{random.getrandbits(128):032x}",
            "type": kind,
            "start_at": format_utc(started_at),
            "end_at": format_utc(started_at + timedelta(seconds=talk + wait)),
            "talkdesk_phone_number": "+12025550102",
            "talkdesk_phone_display_name": random.choice((None, "support")),
            "contact_phone_number": self._number(),
            "user_id": agent["id"] if answered else None,
            "user_name": agent["name"] if answered else None,
            "user_email": agent["email"] if answered else None,
            "total_time": talk + wait,
            "talk_time": talk,
            "wait_time": wait,
            "hold_time": self._hold_time() if answered else 0,
            "abandon_time": wait if "abandoned" in kind else 0,
            "total_ringing_time": wait // 2,
            "notes": random.choice(_NOTES) if answered else None,
            "disposition_code": random.choice((None, "Attempting Contact")),
            "user_voice_rating": random.choice((0, None, 4, 5)),
            "ring_groups": random.choice(_GROUPS),
            "ivr_options": "",
            "is_in_business_hours": True,
            "is_callback_from_queue": random.choice((None, False)),
            "is_transfer": transferred,
            "handling_user_id": handling["id"] if answered else None,
            "handling_user_name": handling["name"] if answered else None,
            "handling_user_email": handling["email"] if answered else None,
            "recording_url": f"https://api.example.com/calls/{call_id}/recordings"
            if answered or kind == "voicemail"
            else None,
            "is_external_transfer": False,
            "is_if_no_answer": False,
            "is_call_forwarding": False,
            "csat_survey_time": "",
            "team_id": random.choice((None, "005488465d0e434298375f2e9769ceb3")),
            "team_name": random.choice((None, "Équipe A")),
            "rating_reason": "",
            "agent_disconnected": random.choice(("Yes", "No")),
            "data_status": "Valid",
            "float_custom_field_n1": random.choice((None, 1.5, 12345.678)),
            "disposition_set": random.choice((None, "Outbound")),
            "nested_disposition": None,
        }
        return row

    def sample(self, rows: list[Row], count: int) -> list[Row]:
        """Return up to `count` random rows."""
        return self._random.sample(rows, min(count, len(rows)))

    def csat_score(self) -> int:
        """Return a customer satisfaction score."""
        return self._random.randint(1, 5)

    def _weighted_choice(self, weights: dict[str, int]) -> str:
        return self._random.choices(tuple(weights), tuple(weights.values()))[0]

    # The limits of talk and wait time add up to less than 40 minutes: `Sandbox.change_calls` adds
    # calls that started 40 minutes ago and must have ended.

    def _talk_time(self) -> int:
        """Return a talk time in seconds, mostly a few minutes."""
        return min(5 + int(self._random.lognormvariate(5.2, 0.8)), 1500)

    def _wait_time(self) -> int:
        """Return a wait time in seconds, mostly under a minute."""
        return min(int(self._random.expovariate(1 / 40)), 600)

    def _hold_time(self) -> int:
        """Return a hold time in seconds, mostly 0."""
        return self._random.choice((0, 0, 0, self._random.randint(5, 240)))

    def _number(self) -> str:
        return f"{self._random.choice(_PREFIXES)}{self._random.randint(0, 9999):04d}"

    def _id(self) -> int:
        self._next_id += self._random.randint(1, 900)
        return self._next_id


def example(name: str) -> list[Row]:
    """Return the example rows from a vendor's documentation, one of `EXAMPLES`."""
    rows: list[Row] = json.loads(files("sandbox.examples").joinpath(f"{name}.json").read_text())
    return rows


def format_utc(at: datetime) -> str:
    """Format a datetime as both vendors do."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_utc(text: str) -> datetime:
    """Parse such a timestamp."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def to_epoch(text: str) -> int:
    """Return the Unix time of such a timestamp."""
    return int(parse_utc(text).timestamp())


_TALKDESK_FIELDS = tuple(example("talkdesk_calls")[0])
