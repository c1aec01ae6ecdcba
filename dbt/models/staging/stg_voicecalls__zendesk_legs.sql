with legs as (
    {{ voicecalls.source_rows('zendesk_legs', {
        'id': 'bigint',
        'call_id': 'bigint',
        'created_at': 'timestamp',
        'updated_at': 'timestamp',
        'type': 'text',
        'completion_status': 'text',
        'duration': 'bigint',
        'talk_time': 'bigint',
        'hold_time': 'bigint',
        'wrap_up_time': 'bigint',
        'agent_id': 'bigint',
        'transferred_from': 'bigint',
        'transferred_to': 'bigint',
        'forwarded_to': 'text',
    }) }}
)

-- Zendesk writes 0 for no agent.
select
    source_relation,
    cast(id as text) as leg_id,
    cast(call_id as text) as call_id,
    created_at as started_at,
    updated_at,
    lower(type) as leg_type,
    lower(completion_status) as completion_status,
    duration as duration_seconds,
    talk_time as talk_seconds,
    hold_time as hold_seconds,
    wrap_up_time as wrap_up_seconds,
    cast(nullif(agent_id, 0) as text) as agent_id,
    cast(nullif(transferred_from, 0) as text) as transferred_from_agent_id,
    cast(nullif(transferred_to, 0) as text) as transferred_to_agent_id,
    forwarded_to
from legs
