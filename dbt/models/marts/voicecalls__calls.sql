with calls as (
    -- Both have the same columns in the same order.
    select * from {{ ref('voicecalls', 'int_voicecalls__zendesk_calls') }}
    union all
    select * from {{ ref('voicecalls', 'int_voicecalls__talkdesk_calls') }}
),

offered as (
    select
        *,
        coalesce(
            direction = 'inbound'
            and outcome in ('answered', 'missed', 'abandoned', 'voicemail')
            and is_in_business_hours is not false
            and is_callback is not true
            and has_ended_in_ivr is not true,
            false
        ) as is_offered,
        coalesce(
            outcome = 'abandoned'
            and coalesce(
                queue_seconds < {{ var('voicecalls_short_abandon_seconds') }},
                vendor_outcome = 'short_abandoned'
            ),
            false
        ) as is_short_abandoned
    from calls
),

answered as (
    select
        *,
        case when is_offered and outcome = 'answered' then coalesce(time_to_answer_seconds, queue_seconds) end
            as speed_of_answer_seconds,
        case
            when direction = 'inbound' and coalesce(customer_id, customer_number) is not null
                then lag(started_at) over (
                    partition by source_relation, vendor, direction, coalesce(customer_id, customer_number)
                    order by started_at, call_id
                )
        end as previous_started_at
    from offered
)

select
    source_relation,
    vendor,
    call_id,
    started_at,
    ended_at,
    {{ voicecalls.local_date('started_at') }} as started_on,
    direction,
    outcome,
    vendor_outcome,
    is_offered,
    is_short_abandoned,
    {{ voicecalls.is_within_service_level() }} as is_within_service_level,
    is_transferred,
    case
        when direction = 'inbound' and coalesce(customer_id, customer_number) is not null
            then coalesce(
                started_at - previous_started_at <= interval '{{ var("voicecalls_repeat_days") }} days',
                false
            )
    end as is_repeat,
    is_callback,
    is_in_business_hours,
    has_ended_in_ivr,
    talk_seconds,
    hold_seconds,
    wrap_up_seconds,
    case
        when outcome = 'answered'
            then coalesce(talk_seconds, 0) + coalesce(hold_seconds, 0) + wrap_up_seconds
    end as handle_seconds,
    wait_seconds,
    queue_seconds,
    speed_of_answer_seconds,
    agent_id,
    agent_name,
    queue_id,
    queue_name,
    phone_number,
    phone_number_name,
    customer_id,
    customer_number,
    ticket_id,
    csat_score,
    disposition_code,
    recording_url
from answered
