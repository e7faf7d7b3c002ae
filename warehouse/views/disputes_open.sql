-- One row per dispute on the register at $cutoff that no tier has settled, ended or referred by then.
-- Reads disputes
with
steps as (
    select
        d.*,
        row_number() over (partition by d.dispute_id order by d.registered_at, d.mediation_id) as step,
        max(case when d.concluded_at <= $cutoff and d.outcome in ('agreed', 'ended', 'referred') then 1 else 0 end)
            over (partition by d.dispute_id) as over_,
    from disputes as d
    where d.registered_at <= $cutoff
)
select
    place,
    category,
    source,
    risk,
from steps
-- Place, kind and risk are those under which it first came on the register.
where step = 1
    and over_ = 0
