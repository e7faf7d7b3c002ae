-- One row per petition, with what came before and after it in the same matter.
-- Reads petitions
select
    p.*,
    -- The first later registration of the same matter, null when it never came again.
    lead(p.registered_at) over matter as repeat_at,
    -- A repeat by the source's own mark, or because the matter was registered before.
    coalesce(p.kind = 'repeat', false) or row_number() over matter > 1 as repeated,
from petitions as p
window matter as (
    partition by coalesce(p.matter_key, p.petition_id)
    order by p.registered_at, p.petition_id
)
