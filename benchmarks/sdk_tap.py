"""The stream `zendesk_calls` in a tap with the SDK's defaults: `python -m benchmarks.sdk_tap`.

The schema is the same; everything else follows the SDK's documentation ("RESTStream",
"BaseHATEOASPaginator").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

from singer_sdk import RESTStream, SchemaDirectory, StreamSchema, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.pagination import BaseHATEOASPaginator

from tap_voicecalls import schemas

if TYPE_CHECKING:
    from urllib.parse import ParseResult

    import requests
    from singer_sdk.helpers.types import Context
    from singer_sdk.streams import Stream


class _NextPages(BaseHATEOASPaginator):
    def get_next_url(self, response: requests.Response) -> str | None:
        next_page: str | None = response.json()["next_page"]
        return None if next_page == response.url else next_page


class DefaultCalls(RESTStream["ParseResult"]):
    """Zendesk calls."""

    name = "zendesk_calls"
    path = "/api/v2/channels/voice/stats/incremental/calls"
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    replication_key = "updated_at"
    records_jsonpath = "$.calls[*]"
    schema = StreamSchema(SchemaDirectory(schemas))

    @property
    def url_base(self) -> str:
        """The base URL of the account."""
        url: str = self.config["zendesk_url"]
        return url

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        """Bearer authentication with an access token."""
        return BearerTokenAuthenticator(token=self.config["zendesk_access_token"])

    def get_new_paginator(self) -> _NextPages:
        """Return a paginator that follows `next_page`."""
        return _NextPages()

    def get_url_params(
        self, context: Context | None, next_page_token: ParseResult | None
    ) -> dict[str, Any]:
        """Return the query of the first page, then that of `next_page`."""
        if next_page_token is not None:
            return dict(parse_qsl(next_page_token.query))
        start = self.get_starting_timestamp(context)
        assert start is not None  # noqa: S101 - start_date is required
        return {"start_time": int(start.timestamp())}


class DefaultTap(Tap):
    """A tap with one stream."""

    name = "tap-sdk-defaults"
    config_jsonschema = th.PropertiesList(
        th.Property("start_date", th.DateTimeType, required=True),
        th.Property("zendesk_url", th.StringType, required=True),
        th.Property("zendesk_access_token", th.StringType, required=True, secret=True),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return the stream."""
        return [DefaultCalls(self)]


if __name__ == "__main__":
    DefaultTap.cli()
