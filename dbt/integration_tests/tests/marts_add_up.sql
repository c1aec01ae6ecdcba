-- Every call is in each mart exactly once.

with counts as (
    select
        'voicecalls__calls' as mart,
        (select count(*) from {{ ref('voicecalls', 'voicecalls__calls') }}) as actual,
        (select count(*) from {{ ref('voicecalls', 'stg_voicecalls__talkdesk_calls') }})
        + (select count(*) from {{ ref('voicecalls', 'stg_voicecalls__zendesk_calls') }}) as expected

    union all

    select
        'voicecalls__call_legs',
        (select count(*) from {{ ref('voicecalls', 'voicecalls__call_legs') }}),
        (select count(*) from {{ ref('voicecalls', 'stg_voicecalls__talkdesk_contacts') }})
        + (select count(*) from {{ ref('voicecalls', 'stg_voicecalls__zendesk_legs') }})

    union all

    select
        'voicecalls__metrics_daily',
        (select coalesce(sum(calls), 0) from {{ ref('voicecalls', 'voicecalls__metrics_daily') }}),
        (select count(*) from {{ ref('voicecalls', 'voicecalls__calls') }} where started_at is not null)

    union all

    select
        'voicecalls__queue_hourly',
        (select coalesce(sum(offered_calls), 0) from {{ ref('voicecalls', 'voicecalls__queue_hourly') }}),
        (
            select count(*) from {{ ref('voicecalls', 'voicecalls__calls') }}
            where is_offered and started_at is not null
        )
)

select *
from counts
where actual <> expected
