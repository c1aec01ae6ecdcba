{#- The accounts to read, each with its schema, its database and the name in `source_relation`. -#}
{% macro accounts() %}
    {%- set accounts = [] -%}
    {%- for account in var('voicecalls_sources') -%}
        {%- do accounts.append({
            'name': account.name or account.schema,
            'schema': account.schema,
            'database': account.database or target.database,
        }) -%}
    {%- endfor -%}
    {{ return(accounts) }}
{% endmacro %}


{#- The relation of a table in an account, or none if it has not been loaded. -#}
{% macro loaded_relation(account, table) %}
    {{ return(adapter.get_relation(account.database, account.schema, table)) }}
{% endmacro %}


{#-
    Selects the rows of a table from every account that has loaded it, with `source_relation`.

    Columns that a table does not have are null, because they were deselected, or are new.
    A table that no account has loaded has no rows. An account without any calls is an error.

    Args:
        table: The name of the stream.
        columns: The type of each column to select.
-#}
{% macro source_rows(table, columns) %}
    {%- do source('voicecalls', table) -%}
    {%- if execute -%}
        {%- set selects = [] -%}
        {%- for account in voicecalls.accounts() -%}
            {%- do voicecalls.require_calls(account) -%}
            {%- set relation = voicecalls.loaded_relation(account, table) -%}
            {%- if relation is not none -%}
                {%- do selects.append(voicecalls.select_columns(account, relation, columns)) -%}
            {%- endif -%}
        {%- endfor -%}
        {{ selects | join('\nunion all\n') if selects else voicecalls.select_nothing(columns) }}
    {%- endif -%}
{% endmacro %}


{% macro require_calls(account) %}
    {%- set calls = ['talkdesk_calls', 'zendesk_calls'] -%}
    {%- for table in calls if voicecalls.loaded_relation(account, table) is not none -%}
        {{ return(none) }}
    {%- endfor -%}
    {%- do exceptions.raise_compiler_error(
        'voicecalls: the schema ' ~ account.database ~ '.' ~ account.schema ~ ' contains neither '
        ~ calls | join(' nor ') ~ '. Run tap-voicecalls first, or set the var voicecalls_sources '
        ~ 'to the schema that its target loads into.'
    ) -%}
{% endmacro %}


{% macro select_columns(account, relation, columns) %}
    {%- set loaded = {} -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}
        {%- do loaded.update({column.name | lower: column.dtype | lower}) -%}
    {%- endfor -%}
    select
        cast({{ dbt.string_literal(account.name) }} as text) as source_relation
        {%- for name, type in columns.items() %},
        {%- if name not in loaded %}
        cast(null as {{ type }}) as {{ name }}
        {%- elif loaded[name] in ('timestamp with time zone', 'timestamptz') %}
        {{ name }} at time zone 'UTC' as {{ name }}
        {%- else %}
        cast({{ name }} as {{ type }}) as {{ name }}
        {%- endif %}
        {%- endfor %}
    from {{ relation }}
{%- endmacro %}


{% macro select_nothing(columns) %}
    select
        cast(null as text) as source_relation
        {%- for name, type in columns.items() %},
        cast(null as {{ type }}) as {{ name }}
        {%- endfor %}
    where false
{%- endmacro %}
