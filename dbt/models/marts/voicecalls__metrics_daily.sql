{%- set is_abandoned_in_ivr -%}
    direction = 'inbound' and outcome = 'abandoned' and has_ended_in_ivr
    and is_in_business_hours is not false and is_callback is not true
{%- endset -%}

with calls as (
    select
        source_relation,
        vendor,
        started_on as date,
        {{ voicecalls.count_where("true") }} as calls,
        {{ voicecalls.count_where("direction = 'inbound'") }} as inbound_calls,
        {{ voicecalls.count_where("direction = 'outbound'") }} as outbound_calls,
        {{ voicecalls.offered_call_measures() }},
        {{ voicecalls.count_where("is_offered and outcome = 'answered' and queue_seconds is not null") }}
            as queued_calls,
        {{ voicecalls.total("queue_seconds", "is_offered and outcome = 'answered'") }} as queue_seconds,
        {{ voicecalls.count_where(is_abandoned_in_ivr) }} as ivr_abandoned_calls,
        {{ voicecalls.count_where("handle_seconds is not null") }} as handled_calls,
        {{ voicecalls.total("handle_seconds") }} as handle_seconds,
        {{ voicecalls.count_where("outcome = 'answered'") }} as connected_calls,
        {{ voicecalls.count_where("outcome = 'answered' and is_transferred") }} as transferred_calls,
        {{ voicecalls.count_where("is_repeat is not null") }} as identified_calls,
        {{ voicecalls.count_where("is_repeat") }} as repeat_calls
    from {{ ref('voicecalls', 'voicecalls__calls') }}
    where started_on is not null
    group by source_relation, vendor, started_on
),

agents as (
    select
        source_relation,
        vendor,
        date,
        cast(sum(busy_seconds) as bigint) as busy_seconds,
        cast(sum(available_seconds) as bigint) as available_seconds
    from {{ ref('voicecalls', 'voicecalls__agent_daily') }}
    where busy_seconds is not null
    group by source_relation, vendor, date
)

select
    source_relation,
    vendor,
    date,
    {%- for measure in [
        'calls', 'inbound_calls', 'outbound_calls',
        'offered_calls', 'answered_calls', 'missed_calls', 'voicemail_calls',
        'abandoned_calls', 'short_abandoned_calls', 'ivr_abandoned_calls',
        'service_level_calls', 'calls_within_service_level',
        'speed_of_answer_calls', 'speed_of_answer_seconds', 'queued_calls', 'queue_seconds',
        'handled_calls', 'handle_seconds',
        'connected_calls', 'transferred_calls',
        'identified_calls', 'repeat_calls',
    ] %}
    coalesce({{ measure }}, 0) as {{ measure }},
    {%- endfor %}
    busy_seconds,
    available_seconds,
    {{ voicecalls.offered_call_ratios() }},
    {{ voicecalls.ratio('abandoned_calls + ivr_abandoned_calls', 'offered_calls + ivr_abandoned_calls') }}
        as abandonment_rate_with_ivr,
    {{ voicecalls.ratio('queue_seconds', 'queued_calls') }} as average_queue_seconds,
    {{ voicecalls.ratio('handle_seconds', 'handled_calls') }} as average_handle_seconds,
    {{ voicecalls.ratio('transferred_calls', 'connected_calls') }} as transfer_rate,
    {{ voicecalls.ratio('repeat_calls', 'identified_calls') }} as repeat_call_rate,
    {{ voicecalls.ratio('busy_seconds', 'busy_seconds + available_seconds') }} as occupancy
from calls
full outer join agents using (source_relation, vendor, date)
