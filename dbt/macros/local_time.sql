{#- Converts a UTC timestamp to local time in `voicecalls_time_zone`. -#}
{% macro local_time(timestamp) %}
    {%- set zone = dbt.string_literal(var('voicecalls_time_zone')) -%}
    {{- '((' ~ timestamp ~ ' at time zone \'UTC\') at time zone ' ~ zone ~ ')' -}}
{% endmacro %}


{#- Converts local time in `voicecalls_time_zone` to a UTC timestamp. -#}
{% macro utc_time(timestamp) %}
    {%- set zone = dbt.string_literal(var('voicecalls_time_zone')) -%}
    {{- '((' ~ timestamp ~ ' at time zone ' ~ zone ~ ') at time zone \'UTC\')' -}}
{% endmacro %}


{% macro local_date(timestamp) %}
    {{- 'cast(' ~ voicecalls.local_time(timestamp) ~ ' as date)' -}}
{% endmacro %}


{#- The seconds between two timestamps. -#}
{% macro seconds_between(start, end) %}
    {{- 'cast(extract(epoch from (' ~ end ~ ' - ' ~ start ~ ')) as bigint)' -}}
{% endmacro %}
