{#-
    Selects when a table was last loaded, in UTC: for the account where that is longest ago.

    Targets add `_sdc_extracted_at`, when the tap read the row, and `_sdc_batched_at`, when the target
    loaded it (target-duckdb writes this one in local time, and neither by default). Without them, the
    newest replication key shows how far the table has been loaded. A table that is not loaded, or of
    which this cannot be known, is never stale.

    Args:
        table: The name of the stream.
        replication_key: Its replication key, or none if each run reads it in full.
-#}
{% macro loaded_at(table, replication_key) %}
    {%- set selects = [] -%}
    {%- for account in voicecalls.accounts() -%}
        {%- set relation = voicecalls.loaded_relation(account, table) -%}
        {%- if relation is not none -%}
            {%- set names = adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | list -%}
            {%- set newest = [] -%}
            {%- for name in ['_sdc_extracted_at', '_sdc_batched_at', replication_key] if name in names -%}
                {%- do newest.append('max(' ~ name ~ ')') -%}
            {%- endfor -%}
            {%- if newest -%}
                {%- do selects.append('select coalesce(' ~ newest | join(', ') ~ ') as loaded_at from ' ~ relation) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if selects -%}
        select min(loaded_at) from ({{ selects | join(' union all ') }}) as accounts
    {%- else -%}
        select {{ dbt.current_timestamp() }}
    {%- endif -%}
{% endmacro %}
