with statuses as (
    {{ voicecalls.source_rows('talkdesk_user_status', {
        'user_id': 'text',
        'user_name': 'text',
        'status_label': 'text',
        'status_start_at': 'timestamp',
        'status_end_at': 'timestamp',
    }) }}
)

select
    source_relation,
    user_id as agent_id,
    user_name as agent_name,
    lower(trim(status_label)) as status,
    status_start_at as started_at,
    status_end_at as ended_at
from statuses
