with calls as (
    select * from {{ ref('voicecalls', 'stg_voicecalls__talkdesk_calls') }}
),

-- The report of calls does not have the after-call work.
wrap_ups as (
    select
        source_relation,
        call_id,
        {{ voicecalls.total('wrap_up_seconds') }} as wrap_up_seconds
    from {{ ref('voicecalls', 'stg_voicecalls__talkdesk_contacts') }}
    group by source_relation, call_id
)

select
    calls.source_relation,
    'talkdesk' as vendor,
    calls.call_id,
    calls.started_at,
    calls.ended_at,
    -- Talkdesk combines direction and outcome in one field.
    case calls.call_type
        when 'missed' then 'inbound'
        when 'abandoned' then 'inbound'
        when 'short_abandoned' then 'inbound'
        when 'voicemail' then 'inbound'
        when 'outbound_missed' then 'outbound'
        else calls.call_type
    end as direction,
    case calls.call_type
        when 'inbound' then 'answered'
        when 'outbound' then 'answered'
        when 'outbound_missed' then 'missed'
        when 'short_abandoned' then 'abandoned'
        else calls.call_type
    end as outcome,
    calls.call_type as vendor_outcome,
    cast(null as boolean) as has_ended_in_ivr, -- not in the report
    calls.is_callback,
    calls.is_in_business_hours,
    calls.talk_seconds,
    calls.hold_seconds,
    wrap_ups.wrap_up_seconds,
    calls.wait_seconds,
    calls.wait_seconds as queue_seconds, -- begins after the IVR
    cast(null as bigint) as time_to_answer_seconds,
    calls.agent_id,
    coalesce(calls.agent_name, calls.agent_id) as agent_name,
    coalesce(calls.is_transfer, false) or coalesce(calls.is_external_transfer, false) as is_transferred,
    calls.ring_groups as queue_id,
    calls.ring_groups as queue_name,
    calls.phone_number,
    coalesce(calls.phone_number_name, calls.phone_number) as phone_number_name,
    cast(null as text) as customer_id,
    calls.customer_number,
    cast(null as text) as ticket_id,
    calls.csat_score,
    calls.disposition_code,
    calls.recording_url
from calls
left join wrap_ups using (source_relation, call_id)
