{%- set next_date = "cast(date + interval '1 day' as date)" -%}
{%- set day_start = voicecalls.utc_time('cast(date as timestamp)') -%}
{%- set day_end = voicecalls.utc_time('cast(' ~ next_date ~ ' as timestamp)') -%}

with recursive statuses as (
    select
        source_relation,
        agent_id,
        agent_name,
        status in {{ voicecalls.statuses('voicecalls_talkdesk_busy_statuses') }} as is_busy,
        status in {{ voicecalls.statuses('voicecalls_talkdesk_available_statuses') }} as is_available,
        started_at,
        ended_at
    from {{ ref('voicecalls', 'stg_voicecalls__talkdesk_user_status') }}
    where ended_at > started_at
),

-- Each status once for each local day that it touches.
days as (
    select
        *,
        {{ voicecalls.local_date('started_at') }} as date
    from statuses
    where is_busy or is_available

    union all

    select
        source_relation,
        agent_id,
        agent_name,
        is_busy,
        is_available,
        started_at,
        ended_at,
        {{ next_date }} as date
    from days
    where {{ day_end }} < ended_at
),

parts as (
    select
        *,
        {{ voicecalls.seconds_between(
            'greatest(started_at, ' ~ day_start ~ ')',
            'least(ended_at, ' ~ day_end ~ ')'
        ) }} as seconds
    from days
)

select
    source_relation,
    agent_id,
    max(agent_name) as agent_name,
    date,
    {{ voicecalls.total('seconds', 'is_busy') }} as busy_seconds,
    {{ voicecalls.total('seconds', 'is_available') }} as available_seconds
from parts
group by source_relation, agent_id, date
