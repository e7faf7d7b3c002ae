-- One row per case, with when the same matter had last come up in the same place.
-- Reads cases
select
    c.place,
    c.category,
    c.channel,
    c.unit,
    c.reported_at,
    lag(c.reported_at) over matter as before_at,
from cases as c
window matter as (
    -- A case without a matter key is a matter of its own.
    partition by coalesce(c.matter_key, c.case_id), c.place
    order by c.reported_at, c.case_id
)
