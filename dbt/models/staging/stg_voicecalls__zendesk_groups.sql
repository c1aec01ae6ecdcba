with groups as (
    {{ voicecalls.source_rows('zendesk_groups', {'id': 'bigint', 'name': 'text'}) }}
)

select
    source_relation,
    cast(id as text) as group_id,
    name as group_name
from groups
