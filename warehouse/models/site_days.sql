-- One row per key site and day, from the first patrol of any key site on, with the hours that were covered.
-- Reads patrols, key_sites
with
shifts as (
    select site_id, started_at, ended_at
    from patrols
    where site_id is not null
        and ended_at > started_at
),
reached as (
    select
        *,
        max(ended_at) over (
            partition by site_id
            order by started_at, ended_at
            rows between unbounded preceding and 1 preceding
        ) as reached,
    from shifts
),
stretches as (
    -- What overlaps counts once: the part of each shift that no earlier one had covered.
    select site_id, greatest(started_at, coalesce(reached, started_at)) as begun, ended_at
    from reached
    where coalesce(ended_at > reached, true)
),
pieces as (
    select
        *,
        unnest(generate_series(date_trunc('day', begun), ended_at, interval 1 day)) as on_day,
    from stretches
),
covered as (
    select
        site_id,
        on_day,
        sum(
            epoch(least(ended_at, on_day + interval 1 day)) - epoch(greatest(begun, on_day))
        ) / 3600.0 as hours,
    from pieces
    group by site_id, on_day
),
span as (
    -- A year past the last patrol, so that a day without any still counts; the future never matures.
    select
        date_trunc('day', min(started_at)) as first_day,
        date_trunc('day', max(started_at)) + interval 12 month as last_day,
    from shifts
),
days as (
    select unnest(generate_series(first_day, last_day, interval 1 day)) as on_day
    from span
    where first_day is not null
)
select
    s.place,
    s.kind,
    d.on_day,
    d.on_day + interval 1 day as day_end,
    cast(coalesce(c.hours, 0) as decimal(18, 4)) as hours,
from days as d
-- A site counts from the day after it was listed to the day before it was removed.
join key_sites as s
    on s.listed_at <= d.on_day
    and coalesce(s.removed_at >= d.on_day + interval 1 day, true)
left join covered as c
    on c.site_id = s.site_id
    and c.on_day = d.on_day
