with zendesk_legs as (
    select
        *,
        case
            when talk_seconds > 0 then 'answered'
            when completion_status = 'agent_missed' then 'missed'
            when completion_status in ('agent_declined', 'agent_transfer_declined') then 'declined'
            when completion_status = 'agent_unreachable' then 'unreachable'
            when completion_status = 'customer_hang_up' then 'abandoned'
            else completion_status
        end as outcome
    from {{ ref('voicecalls', 'stg_voicecalls__zendesk_legs') }}
),

talkdesk_contacts as (
    select
        *,
        case contact_type
            when 'connected' then 'answered'
            when 'not connected' then 'missed'
            when 'short abandoned' then 'abandoned'
            else contact_type
        end as outcome
    from {{ ref('voicecalls', 'stg_voicecalls__talkdesk_contacts') }}
),

legs as (
    select
        legs.source_relation,
        'zendesk' as vendor,
        legs.leg_id,
        legs.call_id,
        legs.started_at,
        legs.leg_type as participant,
        legs.agent_id,
        coalesce(agents.agent_name, legs.agent_id) as agent_name,
        legs.outcome,
        legs.completion_status as vendor_outcome,
        legs.transferred_from_agent_id is not null as is_transferred_in,
        legs.transferred_to_agent_id is not null as is_transferred_out,
        legs.talk_seconds,
        legs.hold_seconds,
        -- Empty where the agent had none.
        case when legs.outcome = 'answered' then coalesce(legs.wrap_up_seconds, 0) else legs.wrap_up_seconds end
            as wrap_up_seconds,
        cast(null as bigint) as wait_seconds,
        cast(null as text) as queue_id
    from zendesk_legs as legs
    left join {{ ref('voicecalls', 'stg_voicecalls__zendesk_agents') }} as agents
        using (source_relation, agent_id)

    union all

    select
        source_relation,
        'talkdesk' as vendor,
        contact_id as leg_id,
        call_id,
        started_at,
        'agent' as participant,
        agent_id,
        coalesce(agent_name, agent_id) as agent_name,
        outcome,
        contact_type as vendor_outcome,
        coalesce(is_transferred_in, false) as is_transferred_in,
        coalesce(is_transferred_out, false) as is_transferred_out,
        talk_seconds,
        hold_seconds,
        case when outcome = 'answered' then coalesce(wrap_up_seconds, 0) else wrap_up_seconds end as wrap_up_seconds,
        wait_seconds,
        ring_groups as queue_id
    from talkdesk_contacts
)

select
    source_relation,
    vendor,
    leg_id,
    call_id,
    started_at,
    {{ voicecalls.local_date('started_at') }} as started_on,
    participant,
    agent_id,
    agent_name,
    outcome,
    vendor_outcome,
    is_transferred_in,
    is_transferred_out,
    talk_seconds,
    hold_seconds,
    wrap_up_seconds,
    case
        when participant = 'agent' and outcome = 'answered'
            then coalesce(talk_seconds, 0) + coalesce(hold_seconds, 0) + wrap_up_seconds
    end as handle_seconds,
    wait_seconds,
    queue_id
from legs
