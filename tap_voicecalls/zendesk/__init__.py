"""Zendesk Talk: the incremental exports of calls and of their legs."""
