-- The calls of both vendors in one view, one row a call: for DuckDB.
-- README.md in this folder tells how to install it and what its columns mean.

set schema = 'main'; -- the schema of the tables, and of the view

create or replace view voice_calls as

-- begin talkdesk
select
    'talkdesk' as vendor,
    call_id,
    start_at as started_at,
    end_at as ended_at,
    -- Talkdesk tells direction and outcome in one.
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
        when 'short_abandoned' then 'abandoned' -- sooner than the account counts as abandoned
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

union all -- with one vendor alone, this goes too

-- begin zendesk
select
    'zendesk' as vendor,
    calls.id::text as call_id,
    calls.created_at as started_at,
    calls.created_at + to_seconds(calls.duration::bigint) as ended_at,
    lower(calls.direction) as direction,
    case lower(calls.completion_status)
        -- An outbound call that the customer did not take is completed, too, with a talk time of 0.
        when 'completed' then case
            when calls.voicemail then 'voicemail'
            when calls.talk_time > 0 then 'answered'
            else 'missed'
        end
        when 'pending_voicemail' then 'voicemail'
        when 'not_answered' then 'missed' -- named in Zendesk's help, not on its API's page
        when 'abandoned_in_queue' then 'abandoned'
        when 'abandoned_in_ivr' then 'abandoned'
        when 'abandoned_in_voicemail' then 'abandoned' -- before a message was left
        when 'abandoned_on_hold' then 'answered' -- an agent had taken the call
        else lower(calls.completion_status)
    end as outcome,
    calls.talk_time::bigint as talk_seconds,
    calls.wait_time::bigint as wait_seconds, -- includes the IVR
    calls.hold_time::bigint as hold_seconds,
    coalesce(last_leg.agent_id, calls.agent_id)::text as agent_id,
    null::text as agent_name, -- Zendesk tells an agent's id alone
    null::text as customer_number, -- Zendesk tells the customer's id alone, not the number
    null::text as recording_url -- Zendesk tells whether a call was recorded, not where that is
from zendesk_calls as calls
left join (
    -- Who spoke with the customer last; the call itself tells who did so first.
    select distinct on (call_id) call_id, agent_id
    from zendesk_legs
    where type = 'agent' and talk_time > 0
    order by call_id, created_at desc nulls last, id desc
) as last_leg on last_leg.call_id = calls.id
-- end zendesk
;
