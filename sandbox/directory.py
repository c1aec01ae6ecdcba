"""Who takes the calls of the fake Zendesk account: its users, groups and phone numbers.

They have the fields that published responses of real accounts have, and the odd cases among them:
agents who were deleted or suspended, deleted groups, numbers without a nickname, digital lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox.history import Row

_URL = "https://sandbox.zendesk.com/api/v2"
#: Agents who took no calls.
_IDLE_AGENTS = 24
_CUSTOMERS = 3
_GROUPS = (
    *("Billing", "Support", "Sales", "Overflow", "VIP", "Réclamations", "夜間", "Returns"),
    *("Partners", "Old support", "Campaign 2024", "Billing", "Test", "Chat", "Escalations"),
)
#: The number of groups that calls are routed to, the first ones; the others may be deleted.
_USED_GROUPS = 9
_UNUSED_NUMBERS = 8


def users(agents: Iterable[tuple[str, int]]) -> dict[int, Row]:
    """Return the users: the agents of the calls, as well as others, and some customers."""
    found = [_agent(name, agent_id) for name, agent_id in agents]
    found += [_agent(f"Agent {number}", 41822003340000 + number) for number in range(_IDLE_AGENTS)]
    found[-1] |= {"role": "admin", "role_type": 4, "custom_role_id": None}
    found[-2] |= {"role_type": 1, "only_private_comments": True}  # a light agent
    found[-3] |= {"active": False, "email": None, "suspended": None}  # deleted
    found[-4] |= {"suspended": True, "iana_time_zone": None, "role_type": None}
    for number in range(_CUSTOMERS):
        customer = _agent(f"Customer {number}", 365000000001 + number)
        found.append(customer | {"role": "end-user", "role_type": None, "custom_role_id": None})
    return {row["id"]: row for row in found}


def _agent(name: str, user_id: int) -> Row:
    return {
        "id": user_id,
        "url": f"{_URL}/users/{user_id}.json",
        "name": name,
        "email": f"user{user_id % 9973}@example.com",
        "created_at": "2025-02-03T08:00:00Z",
        "updated_at": f"2026-01-{1 + user_id % 28:02d}T10:11:12Z",
        "time_zone": "Lisbon",
        "iana_time_zone": "Europe/Lisbon",
        "phone": f"+1202555{user_id % 10_000:04d}",
        "shared_phone_number": None,
        "photo": None,
        "locale_id": 1,
        "locale": "en-US",
        "organization_id": None,
        "role": "agent",
        "verified": True,
        "external_id": None,
        "tags": ["night shift"],
        "alias": None,
        "active": True,
        "shared": False,
        "shared_agent": False,
        "last_login_at": "2026-11-02T03:04:05Z",
        "two_factor_auth_enabled": None,
        "signature": f"Regards, {name}",
        "details": None,
        "notes": "On leave from May.",
        "role_type": 0,
        "custom_role_id": 41822001100220,
        "is_billing_admin": False,
        "moderator": False,
        "ticket_restriction": None,
        "only_private_comments": False,
        "restricted_agent": True,
        "suspended": False,
        "suspension_details": None,
        "default_group_id": 360006000001 + user_id % _USED_GROUPS,
        "report_csv": False,
        "user_fields": {"badge": f"B-{user_id % 997}", "nickname": None},
    }


def groups() -> dict[int, Row]:
    """Return the groups: those that calls are routed to, and others, some of them deleted."""
    return {
        group_id: {
            "id": group_id,
            "url": f"{_URL}/groups/{group_id}.json",
            "name": name,
            "description": "",
            "default": group_id == 360006000001,  # noqa: PLR2004
            "is_public": True,
            "deleted": group_id - 360006000000 > _USED_GROUPS and group_id % 2 == 0,
            "created_at": "2024-05-06T07:08:09Z",
            "updated_at": f"2025-{1 + group_id % 12:02d}-12T13:14:15Z",
        }
        for group_id, name in enumerate(_GROUPS, 360006000001)
    }


def phone_numbers(used: dict[int, str]) -> dict[int, Row]:
    """Return the phone numbers: those that calls used, by their id, and others."""
    unused = {360000000100 + index: f"+1202555{9000 + index}" for index in range(_UNUSED_NUMBERS)}
    found = [_phone_number(number_id, number) for number_id, number in (used | unused).items()]
    found[-1] |= {"line_type": "digital", "number": None, "display_number": None, "nickname": "Web"}
    found[-2] |= {"external": True, "capabilities": None, "priority": None}
    found[-3] |= {"failover_number": "+12025550199", "group_ids": []}
    return {row["id"]: row for row in found}


def _phone_number(number_id: int, number: str) -> Row:
    group_id = 360006000001 + number_id % _USED_GROUPS
    return {
        "id": number_id,
        "number": number,
        "display_number": number,
        "name": number,
        "nickname": None,
        "country_code": "US",
        "location": "AL",
        "created_at": "2024-05-06T07:08:09Z",
        "toll_free": False,
        "external": False,
        "recorded": True,
        "transcription": False,
        "voice_enabled": True,
        "sms_enabled": False,
        "outbound_enabled": True,
        "call_recording_consent": "always",
        "capabilities": {"sms": True, "mms": False, "voice": True, "emergency_address": True},
        "group_ids": [group_id, 360006000009],
        "default_group_id": group_id,
        "sms_group_id": None,
        "ivr_id": None,
        "schedule_id": None,
        "priority": 0,
        "line_type": "phone",
        "failover_number": None,
        "greeting_ids": [41822000000001],
        "default_greeting_ids": ["voicemail_en", "wait_en"],
        "categorised_greetings": {"1": "voicemail_en", "2": 41822000000001},
        "categorised_greetings_with_sub_settings": {"1": {"voicemail_on": "voicemail_en"}},
        "token": f"sandbox-phone-number-token-{number_id}",
    }


def reorganize(lists: Mapping[str, dict[int, Row]], agents: list[int]) -> None:
    """Change an account's users, groups and phone numbers, as a company does in a year.

    One of each is renamed; an agent becomes an end user, a group is deleted, which its row reports,
    and a phone number disappears.

    Args:
        lists: The rows of each list, by id.
        agents: The agents who took calls.
    """
    leaver, agent, *_ = agents
    # The first ones are the documented examples, which must stay unchanged.
    _, closed, group, *_ = (row for row in lists["groups"].values() if not row["deleted"])
    _, released, number, *_ = lists["phone_numbers"]
    lists["agents"][leaver]["role"] = "end-user"
    closed["deleted"] = True
    del lists["phone_numbers"][released]
    for row in (lists["agents"][agent], group, lists["phone_numbers"][number]):
        row["name"] = f"{row['name']} (renamed)"
