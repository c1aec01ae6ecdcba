-- The calls of both vendors in one view, one row per call: for DuckDB.
-- README.md in this folder explains how to install it and what its columns mean.

set schema = 'main'; -- the schema of the tables, and of the view

create or replace view voice_calls as

-- begin talkdesk
select
    'talkdesk' as vendor,
    call_id,
    start_at as started_at,
    end_at as ended_at,
    -- Talkdesk combines direction and outcome in one field.
    case lower(type)
        when 'missed' then 'inbound'
        when 'abandoned' then 'inbound'
        when 'short_abandoned' then 'inbound'
        when 'voicemail' then 'inbound'
        when 'outbound_missed' then 'outbound'
        else lower(type)
    end as direction,
    case lower(type)
        when 'inbound' then 'answered'
        when 'outbound' then 'answered'
        when 'outbound_missed' then 'missed'
        when 'short_abandoned' then 'abandoned' -- before the account's threshold for abandoned calls
        else lower(type)
    end as outcome,
    talk_time::bigint as talk_seconds,
    wait_time::bigint as wait_seconds,
    hold_time::bigint as hold_seconds,
    handling_user_id as agent_id,
    handling_user_name as agent_name,
    contact_phone_number as customer_number,
    recording_url
from talkdesk_calls
-- end talkdesk

union all -- for a single vendor, remove this line too

-- begin zendesk
select
    'zendesk' as vendor,
    calls.id::text as call_id,
    calls.created_at as started_at,
    calls.created_at + to_seconds(calls.duration::bigint) as ended_at,
    lower(calls.direction) as direction,
    case lower(calls.completion_status)
        -- An outbound call that the customer did not answer is completed too, with a talk time of 0.
        when 'completed' then case
            when calls.voicemail then 'voicemail'
            when calls.talk_time > 0 then 'answered'
            else 'missed'
        end
        when 'pending_voicemail' then 'voicemail'
        when 'not_answered' then 'missed' -- documented in Zendesk's help center, but not in its API reference
        when 'abandoned_in_queue' then 'abandoned'
        when 'abandoned_in_ivr' then 'abandoned'
        when 'abandoned_in_voicemail' then 'abandoned' -- before a message was left
        when 'abandoned_on_hold' then 'answered' -- an agent had answered the call
        else lower(calls.completion_status)
    end as outcome,
    calls.talk_time::bigint as talk_seconds,
    calls.wait_time::bigint as wait_seconds, -- includes the IVR
    calls.hold_time::bigint as hold_seconds,
    coalesce(last_leg.agent_id, calls.agent_id)::text as agent_id,
    null::text as agent_name, -- Zendesk returns only the agent's ID
    null::text as customer_number, -- Zendesk returns only the customer's ID
    null::text as recording_url -- Zendesk returns whether a call was recorded, but no URL
from zendesk_calls as calls
left join (
    -- The last agent who spoke with the customer; the call itself has the first one.
    select distinct on (call_id) call_id, agent_id
    from zendesk_legs
    where type = 'agent' and talk_time > 0
    order by call_id, created_at desc nulls last, id desc
) as last_leg on last_leg.call_id = calls.id
-- end zendesk
;
