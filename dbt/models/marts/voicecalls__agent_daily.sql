with legs as (
    select
        source_relation,
        vendor,
        agent_id,
        agent_name,
        started_on as date,
        outcome,
        is_transferred_out,
        talk_seconds,
        hold_seconds,
        wrap_up_seconds,
        handle_seconds
    from {{ ref('voicecalls', 'voicecalls__call_legs') }}
    where participant = 'agent'

    union all

    -- Talkdesk calls without contacts, such as all of them where that stream is not loaded.
    select
        calls.source_relation,
        calls.vendor,
        calls.agent_id,
        calls.agent_name,
        calls.started_on as date,
        calls.outcome,
        calls.is_transferred as is_transferred_out,
        calls.talk_seconds,
        calls.hold_seconds,
        calls.wrap_up_seconds,
        calls.handle_seconds
    from {{ ref('voicecalls', 'voicecalls__calls') }} as calls
    left join {{ ref('voicecalls', 'voicecalls__call_legs') }} as legs
        using (source_relation, vendor, call_id)
    where calls.vendor = 'talkdesk' and legs.call_id is null
),

activity as (
    select
        source_relation,
        vendor,
        agent_id,
        max(agent_name) as agent_name,
        date,
        {{ voicecalls.count_where("outcome = 'answered'") }} as answered_contacts,
        {{ voicecalls.count_where("outcome = 'missed'") }} as missed_contacts,
        {{ voicecalls.count_where("outcome = 'declined'") }} as declined_contacts,
        {{ voicecalls.count_where("outcome = 'answered' and is_transferred_out") }} as transferred_contacts,
        {{ voicecalls.total('talk_seconds') }} as talk_seconds,
        {{ voicecalls.total('hold_seconds') }} as hold_seconds,
        {{ voicecalls.total('wrap_up_seconds') }} as wrap_up_seconds,
        {{ voicecalls.count_where('handle_seconds is not null') }} as handled_contacts,
        {{ voicecalls.total('handle_seconds') }} as handle_seconds
    from legs
    where agent_id is not null and date is not null
    group by source_relation, vendor, agent_id, date
),

statuses as (
    select
        source_relation,
        'talkdesk' as vendor,
        agent_id,
        agent_name,
        date,
        busy_seconds,
        available_seconds
    from {{ ref('voicecalls', 'int_voicecalls__talkdesk_agent_days') }}
)

select
    source_relation,
    vendor,
    agent_id,
    coalesce(activity.agent_name, statuses.agent_name, agent_id) as agent_name,
    date,
    coalesce(activity.answered_contacts, 0) as answered_contacts,
    coalesce(activity.missed_contacts, 0) as missed_contacts,
    coalesce(activity.declined_contacts, 0) as declined_contacts,
    coalesce(activity.transferred_contacts, 0) as transferred_contacts,
    coalesce(activity.talk_seconds, 0) as talk_seconds,
    coalesce(activity.hold_seconds, 0) as hold_seconds,
    coalesce(activity.wrap_up_seconds, 0) as wrap_up_seconds,
    coalesce(activity.handled_contacts, 0) as handled_contacts,
    coalesce(activity.handle_seconds, 0) as handle_seconds,
    {{ voicecalls.ratio('activity.handle_seconds', 'activity.handled_contacts') }} as average_handle_seconds,
    statuses.busy_seconds,
    statuses.available_seconds,
    {{ voicecalls.ratio('statuses.busy_seconds', 'statuses.busy_seconds + statuses.available_seconds') }}
        as occupancy
from activity
full outer join statuses using (source_relation, vendor, agent_id, date)
