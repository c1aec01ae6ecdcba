with agents as (
    {{ voicecalls.source_rows('zendesk_agents', {'id': 'bigint', 'name': 'text'}) }}
)

select
    source_relation,
    cast(id as text) as agent_id,
    name as agent_name
from agents
