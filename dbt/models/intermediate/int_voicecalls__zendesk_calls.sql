with calls as (
    select
        *,
        case completion_status
            -- An outbound call that the customer did not answer is completed too, with a talk time of 0.
            when 'completed' then case
                when is_voicemail then 'voicemail'
                when talk_seconds > 0 then 'answered'
                else 'missed'
            end
            when 'pending_voicemail' then 'voicemail'
            -- Documented in Zendesk's help center, but not in its API reference.
            when 'not_answered' then 'missed'
            when 'abandoned_in_queue' then 'abandoned'
            when 'abandoned_in_ivr' then 'abandoned'
            when 'abandoned_in_voicemail' then 'abandoned' -- before a message was left
            when 'abandoned_on_hold' then 'answered' -- an agent had answered the call
            else completion_status
        end as outcome
    from {{ ref('voicecalls', 'stg_voicecalls__zendesk_calls') }}
),

legs as (
    select
        *,
        talk_seconds > 0 as has_talked
    from {{ ref('voicecalls', 'stg_voicecalls__zendesk_legs') }}
),

-- The last agent who spoke with the customer; the call itself has the first one.
last_agents as (
    select distinct on (source_relation, call_id)
        source_relation,
        call_id,
        agent_id
    from legs
    where leg_type = 'agent' and has_talked
    order by source_relation, call_id, started_at desc nulls last, cast(leg_id as bigint) desc
),

transfers as (
    select
        source_relation,
        call_id,
        count(distinct agent_id) filter (where leg_type = 'agent' and has_talked) > 1
        or count(transferred_from_agent_id) > 0
        or count(transferred_to_agent_id) > 0
        -- In an agent's leg, forwarded_to is the agent's own phone.
        or count(forwarded_to) filter (where leg_type = 'external' and has_talked) > 0 as is_transferred
    from legs
    group by source_relation, call_id
)

select
    calls.source_relation,
    'zendesk' as vendor,
    calls.call_id,
    calls.started_at,
    {{ dbt.dateadd('second', 'calls.duration_seconds', 'calls.started_at') }} as ended_at,
    calls.direction,
    calls.outcome,
    calls.completion_status as vendor_outcome,
    -- The caller hung up in the IVR, or chose something other than an agent there.
    coalesce(
        calls.completion_status = 'abandoned_in_ivr'
        or (calls.outcome <> 'answered' and calls.ivr_action in ('voicemail', 'phone_number', 'textback')),
        false
    ) as has_ended_in_ivr,
    calls.is_callback,
    calls.is_in_business_hours,
    calls.talk_seconds,
    calls.hold_seconds,
    -- Empty where no agent had any.
    case when calls.outcome = 'answered' then coalesce(calls.wrap_up_seconds, 0) end as wrap_up_seconds,
    calls.wait_seconds,
    case
        when calls.wait_seconds is not null
            then greatest(calls.wait_seconds - coalesce(calls.ivr_seconds, 0), 0)
    end as queue_seconds,
    calls.time_to_answer_seconds,
    coalesce(last_agents.agent_id, calls.agent_id) as agent_id,
    coalesce(agents.agent_name, last_agents.agent_id, calls.agent_id) as agent_name,
    coalesce(transfers.is_transferred, false) as is_transferred,
    calls.group_id as queue_id,
    coalesce(groups.group_name, calls.group_id) as queue_name,
    calls.phone_number,
    coalesce(phone_numbers.phone_number_name, calls.phone_number) as phone_number_name,
    calls.customer_id,
    cast(null as text) as customer_number, -- Zendesk returns only the customer's ID
    calls.ticket_id,
    cast(null as bigint) as csat_score,
    cast(null as text) as disposition_code,
    cast(null as text) as recording_url -- Zendesk returns whether a call was recorded, but no URL
from calls
left join last_agents using (source_relation, call_id)
left join transfers using (source_relation, call_id)
left join {{ ref('voicecalls', 'stg_voicecalls__zendesk_groups') }} as groups using (source_relation, group_id)
left join {{ ref('voicecalls', 'stg_voicecalls__zendesk_phone_numbers') }} as phone_numbers
    using (source_relation, phone_number_id)
left join {{ ref('voicecalls', 'stg_voicecalls__zendesk_agents') }} as agents
    on
        calls.source_relation = agents.source_relation
        and coalesce(last_agents.agent_id, calls.agent_id) = agents.agent_id
