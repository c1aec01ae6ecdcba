with local_calls as (
    select
        *,
        {{ voicecalls.local_time('started_at') }} as local_started_at
    from {{ ref('voicecalls', 'voicecalls__calls') }}
    where is_offered and started_at is not null
),

calls as (
    select
        *,
        -- In UTC, because clocks that are set back repeat a local hour, and offsets may have half hours.
        started_at - (local_started_at - date_trunc('hour', local_started_at)) as hour_started_at,
        cast(extract(hour from local_started_at) as integer) as hour_of_day
    from local_calls
),

hours as (
    select
        source_relation,
        vendor,
        queue_id,
        max(queue_name) as queue_name,
        hour_started_at,
        started_on as date,
        hour_of_day,
        cast(max(queue_seconds) as bigint) as longest_queue_seconds,
        {{ voicecalls.offered_call_measures() }}
    from calls
    group by source_relation, vendor, queue_id, hour_started_at, started_on, hour_of_day
)

select
    source_relation,
    vendor,
    queue_id,
    queue_name,
    hour_started_at,
    date,
    hour_of_day,
    offered_calls,
    answered_calls,
    missed_calls,
    voicemail_calls,
    abandoned_calls,
    short_abandoned_calls,
    service_level_calls,
    calls_within_service_level,
    speed_of_answer_calls,
    speed_of_answer_seconds,
    longest_queue_seconds,
    {{ voicecalls.offered_call_ratios() }}
from hours
