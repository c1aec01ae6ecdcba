with contacts as (
    {{ voicecalls.source_rows('talkdesk_contacts', {
        'contact_id': 'text',
        'interaction_id': 'text',
        'direction': 'text',
        'contact_type': 'text',
        'started_at': 'timestamp',
        'finished_at': 'timestamp',
        'wait_time': 'bigint',
        'ring_time': 'bigint',
        'talk_time': 'bigint',
        'hold_time': 'bigint',
        'after_call_work_time': 'bigint',
        'transfer_in': 'text',
        'transfer_out': 'text',
        'user_id': 'text',
        'user_name': 'text',
        'ring_groups': 'text',
        'handling_ring_groups': 'text',
    }) }}
)

select
    source_relation,
    contact_id,
    interaction_id as call_id,
    case upper(direction) when 'IN' then 'inbound' when 'OUT' then 'outbound' else lower(direction) end as direction,
    lower(contact_type) as contact_type,
    started_at,
    finished_at as ended_at,
    wait_time as wait_seconds,
    ring_time as ring_seconds,
    talk_time as talk_seconds,
    hold_time as hold_seconds,
    after_call_work_time as wrap_up_seconds,
    lower(transfer_in) in ('yes', 'true') as is_transferred_in,
    lower(transfer_out) in ('yes', 'true') as is_transferred_out,
    user_id as agent_id,
    user_name as agent_name,
    coalesce(nullif(handling_ring_groups, ''), nullif(ring_groups, '')) as ring_groups
from contacts
