-- One row per dispute and tier, with whether it went up from there; a dispute's first row carries the dispute.
-- Reads disputes
with
steps as (
    select
        d.*,
        case d.tier
            when 'neighbour' then 1 when 'village' then 2 when 'station' then 3 when 'township' then 4 else 5
        end as height,
    from disputes as d
)
select
    s.* exclude (height),
    coalesce(lead(s.height) over step > s.height, false) as raised,
    case when row_number() over step = 1 then s.registered_at end as found_at,
    min(case when s.outcome = 'agreed' then s.concluded_at end) over (partition by s.dispute_id) as settled_at,
from steps as s
window step as (
    partition by s.dispute_id
    order by s.registered_at, s.mediation_id
)
