"""Each stream's schema is complete, described, and accepted by every target.

* Every field that a vendor documents or was seen to send has a column, and no column is invented.
* Every column has a description, with the unit of a duration and the time zone of a timestamp.
* Only the key is never null, and no column restricts its values.
* Unknown fields of any type fit `extra_fields`, where a stream keeps them.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from sandbox import Sandbox
from sandbox.history import EXAMPLES, example
from tap_voicecalls import schemas
from tap_voicecalls.sync.conform import EXTRA_FIELDS, LEFT_OUT, Record, RecordConformer
from tap_voicecalls.tap import TapVoiceCalls
from tests.harness import NOW, REPLICATION_KEYS

#: The fields in Zendesk's reference tables. Talkdesk has no such table, only an example of calls.
DOCUMENTED = {
    "zendesk_calls": """
        agent_id call_charge call_group_id call_recording_consent call_recording_consent_action
        call_recording_consent_keypress callback callback_source completion_status
        consultation_time created_at customer_requested_voicemail default_group direction duration
        exceeded_queue_time hold_time id ivr_action ivr_destination_group_name ivr_hops
        ivr_routed_to ivr_time_spent minutes_billed not_recording_time outside_business_hours
        overflowed overflowed_to phone_number phone_number_id quality_issues
        recording_control_interactions recording_time talk_time ticket_id time_to_answer updated_at
        voicemail wait_time wrap_up_time call_channel line_type post_call_transcription_created
        post_call_summary_created
    """,
    "zendesk_legs": """
        agent_id available_via call_charge call_id completion_status conference_from
        conference_time conference_to consultation_from consultation_time consultation_to
        created_at duration forwarded_to hold_time id minutes_billed quality_issues talk_time
        transferred_from transferred_to type updated_at user_id wrap_up_time
    """,
    "zendesk_agents": """
        active alias chat_only created_at custom_role_id default_group_id details email external_id
        iana_time_zone id last_login_at locale locale_id moderator name notes only_private_comments
        organization_id phone photo remote_photo_url report_csv restricted_agent role role_type
        shared shared_agent shared_phone_number signature suspended tags ticket_restriction
        time_zone two_factor_auth_enabled updated_at url user_fields verified
    """,
    "zendesk_groups": """
        created_at default deleted description id is_public name updated_at url
    """,
    "zendesk_phone_numbers": """
        brand_id call_recording_consent capabilities categorised_greetings
        categorised_greetings_with_sub_settings country_code created_at default_greeting_ids
        default_group_id display_number external failover_number greeting_ids group_ids id ivr_id
        line_type location name nickname number outbound_enabled priority recorded schedule_id
        sms_enabled sms_group_id token toll_free transcription voice_enabled
    """,
}
#: The fields of the example records in the vendors' documentation.
IN_EXAMPLES = {
    "talkdesk_calls": """
        call_id callsid type start_at end_at talkdesk_phone_number talkdesk_phone_display_name
        contact_phone_number user_id user_name user_email total_time talk_time wait_time hold_time
        abandon_time total_ringing_time disposition_code notes user_voice_rating ring_groups
        ivr_options is_in_business_hours is_callback_from_queue is_transfer handling_user_id
        handling_user_name handling_user_email recording_url is_external_transfer is_if_no_answer
        is_call_forwarding csat_score csat_survey_time team_id team_name rating_reason
        agent_disconnected data_status int_custom_field_n1 int_custom_field_n2
        float_custom_field_n1 float_custom_field_n2 text_custom_field_n1 text_custom_field_n2
        text_custom_field_n3 text_custom_field_n4 timestamp_custom_field_n1 disposition_set
        nested_disposition
    """,
    "zendesk_calls": """
        agent_id call_charge call_recording_consent call_recording_consent_action
        call_recording_consent_keypress callback callback_source completion_status
        consultation_time created_at customer_id customer_requested_voicemail default_group
        direction duration exceeded_queue_wait_time hold_time id ivr_action
        ivr_destination_group_name ivr_hops ivr_routed_to ivr_time_spent line line_id line_type
        minutes_billed not_recording_time outside_business_hours overflowed overflowed_to
        phone_number phone_number_id post_call_summary_created post_call_transcription_created
        quality_issues recording_control_interactions recording_time talk_time ticket_id
        time_to_answer updated_at voicemail wait_time wrap_up_time
    """,
    "zendesk_legs": DOCUMENTED["zendesk_legs"],
    "zendesk_agents": """
        active alias created_at custom_role_id details email external_id iana_time_zone id
        last_login_at locale locale_id moderator name notes only_private_comments organization_id
        phone photo restricted_agent role role_type shared shared_agent signature suspended tags
        ticket_restriction time_zone updated_at url user_fields verified
    """,
    "zendesk_groups": DOCUMENTED["zendesk_groups"],
    "zendesk_phone_numbers": DOCUMENTED["zendesk_phone_numbers"],
}

#: Undocumented fields of Zendesk calls that were null in every response seen so far.
UNKNOWN_TYPE = """
    post_call_summary post_call_transcription real_time_transcription transcription_language
    copilot_suggestions_generated_successful copilot_suggestions_generated_total
"""
#: Fields seen in real responses and in no example. Talkdesk's are from a report of calls of 2022,
#: and from public connectors and samples of its further reports.
OBSERVED = {
    "talkdesk_calls": "mood is_mood_prompted",
    "talkdesk_contacts": """
        interaction_id contact_id company_number phone_display_name contact_person_number
        external_phone_number direction contact_type started_at wait_time time_to_missed
        abandon_time short_abandon_time time_to_voicemail ring_time connect_time answered_at
        connected_at talk_time hard_hold_time soft_hold_time hold_time after_call_work_time
        finished_at duration handle_time inside_business_hours inside_service_level
        within_service_level_threshold transfer_out transfer_out_type transfer_in
        transfer_in_type callback ring_groups user_name direct_assignment_user team_name user_id
        direct_assignment_ids team_id handling_ring_groups disconnected_by_agent last_contact
        data_status
    """,
    "talkdesk_ring_attempts": """
        interaction_id contact_id batch_ring_id ring_attempt_id attempt_type ring_started_at_time
        ring_finished_at_time ring_attempt_duration user_name user_email team_name
    """,
    "talkdesk_user_status": """
        user_id user_name user_email status_label status_start_at status_end_at status_time
        is_user_active team_id team_name ring_groups
    """,
    "zendesk_calls": f"call_channel call_group_id {UNKNOWN_TYPE}",
    "zendesk_agents": "default_group_id is_billing_admin permanently_deleted suspension_details",
}

TAP = TapVoiceCalls(config={}, parse_env_config=False, validate_config=False)
STREAMS = TAP.streams
#: The schemas as committed, with the private keyword that discovery removes.
SCHEMAS: dict[str, dict[str, Any]] = {
    name: json.loads(resources.files(schemas).joinpath(f"{name}.json").read_text("utf-8"))
    for name in STREAMS
}

#: The sandbox's rows, for the streams without a documented example.
SANDBOX = Sandbox(calls=30, now=NOW)
#: The streams that keep fields without a column.
OPEN = [name for name in STREAMS if EXTRA_FIELDS in SCHEMAS[name]["properties"]]
#: The schema's mark on a column with personal data, which its description states too.
PERSONAL = "x-personal"
PERSONAL_COLUMNS = {
    "talkdesk_contacts": "contact_person_number external_phone_number user_name "
    "direct_assignment_user",
    "talkdesk_ring_attempts": "user_name user_email",
    "talkdesk_user_status": "user_name user_email",
    "zendesk_agents": "name email",
    "zendesk_phone_numbers": "failover_number",
}

every_stream = pytest.mark.parametrize("stream", STREAMS)
every_open_stream = pytest.mark.parametrize("stream", OPEN)
every_zendesk_stream = pytest.mark.parametrize(
    "stream", [name for name in STREAMS if name.startswith("zendesk_")]
)


def fields(names: str) -> set[str]:
    return set(names.split())


def columns(stream: str) -> dict[str, dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = SCHEMAS[stream]["properties"]
    return properties


def left_out(stream: str) -> set[str]:
    """Return the fields that are known and not taken."""
    return set(SCHEMAS[stream].get(LEFT_OUT, ()))


def conform(stream: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a row; fail on a warning."""
    keys = TAP.streams[stream].primary_keys
    conformer = RecordConformer(SCHEMAS[stream], keys, pytest.fail)
    return conformer.conform(msgspec.json.encode(row)).to_dict()


def rows(stream: str) -> list[dict[str, Any]]:
    """Return the documented example rows of a stream, or the sandbox's where there are none."""
    return example(stream) if stream in EXAMPLES else list(SANDBOX.rows[stream].values())


def assert_valid(stream: str, record: dict[str, Any]) -> None:
    Draft202012Validator(SCHEMAS[stream]).validate(record)


@every_stream
@pytest.mark.parametrize(
    "source", [DOCUMENTED, IN_EXAMPLES, OBSERVED], ids=["documented", "in examples", "observed"]
)
def test_every_known_field_has_a_column(stream: str, source: dict[str, str]) -> None:
    assert fields(source.get(stream, "")) - columns(stream).keys() - left_out(stream) == set()


@every_stream
def test_no_column_is_invented(stream: str) -> None:
    known = [fields(source.get(stream, "")) for source in (DOCUMENTED, IN_EXAMPLES, OBSERVED)]

    assert columns(stream).keys() - set.union(*known) <= {EXTRA_FIELDS}
    assert left_out(stream) <= set.union(*known) - columns(stream).keys()


@every_stream
def test_field_lists_match_the_examples(stream: str) -> None:
    known = IN_EXAMPLES if stream in EXAMPLES else OBSERVED
    assert {name for row in rows(stream) for name in row} == fields(known[stream])


@pytest.mark.parametrize(
    ("stream", "count"),
    [
        ("talkdesk_calls", 52),
        ("talkdesk_contacts", 45),
        ("talkdesk_ring_attempts", 11),
        ("talkdesk_user_status", 11),
        ("zendesk_calls", 53),
        ("zendesk_legs", 25),
    ],
)
def test_field_lists_match_the_size_of_real_rows(stream: str, count: int) -> None:
    """The lists in this module have as many fields as a row of a real response."""
    known = fields(IN_EXAMPLES.get(stream, "")) | fields(OBSERVED.get(stream, ""))
    assert len(known) == count


@every_stream
def test_every_column_has_a_description(stream: str) -> None:
    assert [
        name
        for name, column in columns(stream).items()
        if not (column["description"][0].isupper() and column["description"].endswith("."))
    ] == []


@every_stream
def test_every_duration_names_its_unit(stream: str) -> None:
    units = {"minutes_billed": "in minutes"}
    durations = {
        name: column["description"]
        for name, column in columns(stream).items()
        if "integer" in column["type"] and ("time" in name or "duration" in name or name in units)
    }

    assert bool(durations) == (stream in REPLICATION_KEYS)
    assert [
        name
        for name, description in durations.items()
        if units.get(name, "in seconds") not in description
    ] == []


@every_stream
def test_every_timestamp_is_described_as_utc(stream: str) -> None:
    timestamps = {
        name: column["description"]
        for name, column in columns(stream).items()
        if column.get("format") == "date-time"
    }

    assert timestamps
    assert [name for name, description in timestamps.items() if "in UTC" not in description] == []


@every_stream
def test_only_the_key_is_never_null(stream: str) -> None:
    never_null = [name for name, column in columns(stream).items() if "null" not in column["type"]]

    assert never_null == list(STREAMS[stream].primary_keys)


@pytest.mark.parametrize("stream", REPLICATION_KEYS)
def test_replication_key_is_a_nullable_timestamp(stream: str) -> None:
    key = columns(stream)[REPLICATION_KEYS[stream]]

    assert (key["format"], key["type"]) == ("date-time", ["string", "null"])


@every_stream
def test_no_column_restricts_its_values(stream: str) -> None:
    keywords = {"enum", "const", "pattern", "minimum", "maximum", "maxLength"}

    assert [name for name, column in columns(stream).items() if keywords & column.keys()] == []


@every_zendesk_stream
def test_zendesk_ids_are_integers(stream: str) -> None:
    ids = {"id"} | {name for name in columns(stream) if name.endswith(("_id", "_from"))}

    assert {columns(stream)[name]["type"][0] for name in ids} == {"integer"}


@pytest.mark.parametrize("stream", ["zendesk_calls", "zendesk_legs"])
def test_zendesk_call_charge_is_a_string(stream: str) -> None:
    assert columns(stream)["call_charge"]["type"] == ["string", "null"]


@pytest.mark.parametrize(
    "value",
    [None, "some text", "", True, 7, 0.5, ["a", 1], {"text": "a", "parts": [None]}],
    ids=json.dumps,
)
def test_fields_of_unknown_type_take_any_json(value: object) -> None:
    names = fields(UNKNOWN_TYPE)

    record = conform("zendesk_calls", {"id": 1} | dict.fromkeys(names, value))

    assert_valid("zendesk_calls", record)
    expected = (
        value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
    )
    assert {name: record[name] for name in names} == dict.fromkeys(names, expected)


@every_stream
def test_every_column_is_a_valid_attribute_of_a_record(stream: str) -> None:
    assert all(name.isidentifier() and not hasattr(Record, name) for name in columns(stream))


@every_open_stream
def test_extra_fields_take_any_json(stream: str) -> None:
    new = {"new_text": "a", "new_list": [1, {"deep": None}], "new_number": 0.5}

    record = conform(stream, rows(stream)[0] | new)

    assert_valid(stream, record)
    assert record[EXTRA_FIELDS] == new


@every_open_stream
def test_extra_fields_has_no_properties(stream: str) -> None:
    """The SDK removes keys that are not among the properties of an object."""
    column = columns(stream)[EXTRA_FIELDS]

    assert column["type"] == ["object", "null"]
    assert "properties" not in column


@every_stream
def test_examples_are_valid_records(stream: str) -> None:
    for row in rows(stream):
        record = conform(stream, row)

        assert_valid(stream, record)
        assert record.get(EXTRA_FIELDS) is None


@every_stream
def test_only_streams_of_unlisted_fields_keep_them(stream: str) -> None:
    """A user or a group may get fields with personal data; they are not taken unseen."""
    assert (stream in OPEN) == (stream not in {"zendesk_agents", "zendesk_groups"})


@every_stream
def test_personal_data_is_marked_and_described(stream: str) -> None:
    marked = {name for name, column in columns(stream).items() if column.get(PERSONAL)}
    described = {
        name
        for name, column in columns(stream).items()
        if column["description"].endswith(" Personal data.")
    }

    assert marked == described == fields(PERSONAL_COLUMNS.get(stream, ""))


def without_private_keywords(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: without_private_keywords(value)
            for name, value in schema.items()
            if not name.startswith("x-")
        }
    return schema


def test_discovered_schemas_have_no_private_keyword() -> None:
    """So targets never see `x-any-json`, `x-left-out` or `x-personal`."""
    discovered = {entry["tap_stream_id"]: entry["schema"] for entry in TAP.catalog_dict["streams"]}

    assert discovered == without_private_keywords(SCHEMAS)
