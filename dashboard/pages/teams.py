"""Teams: posts filled, grids with a worker, training, entries on the platform. Counts of teams, never of one person."""

from __future__ import annotations

from dashboard.blocks import Block, Note, Tiles
from dashboard.figures import breakdown, choice_labels, definitions, no_source, ranking, tiles
from dashboard.view import Page, View
from warehouse.text import Text

POSTS = (
    "posts_filled_rate", "grids_with_a_worker", "posts_in_place", "team_members", "party_members_in_grids",
    "posts_replaced",
)  # fmt: skip
WORK = ("training_attendance", "platform_entries", "problems_found")


def build(view: View) -> tuple[Block, ...]:
    blocks: list[Block] = []
    shown: list[str] = []
    for title, names, columns in (
        (view.text("岗位与队伍", "Posts and teams"), POSTS, 6),
        (view.text("培训与平台", "Training and platform"), WORK, 3),
    ):
        found = tiles(view, names)
        if found:
            blocks.append(Tiles(title, found, columns=columns))
            shown += names
    if not blocks:
        return (no_source(view),)
    if POSTS[0] in shown:
        league = ranking(
            view, "posts_filled_rate", view.text("下级岗位配备率", "Posts filled, one level down")
        )
        if league is not None:
            blocks.append(league)
        kinds = choice_labels(view, "posts", "kind")
        blocks += [
            breakdown(view, "posts_filled_rate", "kind", view.text("配备率（按岗位）", "Posts filled, by kind"), kinds),
            breakdown(view, "team_members", "kind", view.text("队伍人数（按类别）", "Members of teams, by kind"), kinds),
        ]  # fmt: skip
    blocks.append(
        Note(
            view.text("口径说明", "Definitions"),
            text=view.text(
                "只到班组和村（社区）一级；个人记录用于支持和培训，不公开、不排名。",
                "Shown for teams and villages; personal records serve support and training, and are neither "
                "published nor ranked.",
            ),
            defines=True,
            items=definitions(view, shown),
        )
    )
    return tuple(blocks)


PAGE = Page("teams", Text(zh="队伍", en="Teams"), "groups", build)
