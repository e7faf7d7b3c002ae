"""The words of the screens' own chrome, in both languages."""

from __future__ import annotations

from warehouse.text import Text

WORDS: dict[str, Text] = {
    "center": Text(zh="治理指挥中心", en="Governance Command Center"),
    "language": Text(zh="English", en="中文"),
    "place": Text(zh="下级地区", en="Go to"),
    "place_hint": Text(zh="选择下级地区", en="Choose a place below"),
    "period": Text(zh="统计期", en="Period"),
    "own_dates": Text(zh="自选日期", en="Own dates"),
    "compare": Text(zh="对比", en="Compare"),
    "pdf": Text(zh="导出 PDF", en="Export PDF"),
    "xlsx": Text(zh="导出表格", en="Export sheet"),
    "definition": Text(zh="口径", en="Definition"),
    "cutoff": Text(zh="数据截至", en="Data as of"),
    "version": Text(zh="数据版本", en="Data version"),
    "no_data": Text(zh="无数据", en="No data"),
    "shown_of": Text(zh="显示 {shown} / 共 {total} 行", en="{shown} of {total} rows shown"),
    "nothing": Text(zh="无记录", en="No records"),
    "menu": Text(zh="页面", en="Pages"),
    "path": Text(zh="所在位置", en="Where you are"),
    "table_view": Text(zh="数据表", en="As a table"),
    "back": Text(zh="回到总览", en="Back to the start"),
    "mistake": Text(zh="无法显示此页", en="This page cannot be shown"),
    "not_yet": Text(zh="尚无已发布的数据", en="No data published yet"),
    "not_yet_more": Text(
        zh="数据入库后，此页会自动刷新。", en="This page opens by itself as soon as data has been loaded."
    ),
    "fault": Text(zh="此页暂时无法显示", en="This page cannot be shown right now"),
    "fault_more": Text(
        zh="错误已记入日志，请稍后重试或联系管理员。",
        en="The fault has been logged. Try again, or tell whoever runs this system.",
    ),
    "lost_network": Text(
        zh="网络中断，画面为 {time} 的数据，恢复后自动继续",
        en="No network. Showing data of {time}; the wall goes on by itself",
    ),
    "lost_server": Text(
        zh="服务器无应答，画面为 {time} 的数据，恢复后自动继续",
        en="The server does not answer. Showing data of {time}; the wall goes on by itself",
    ),
    "lost_page": Text(
        zh="与服务器的连接中断，画面为 {time} 的数据，正在重新连接",
        en="Connection lost. Showing data of {time}; connecting again",
    ),
    "lost_loader": Text(
        zh="数据载入程序自 {since} 起无响应，画面为 {time} 的数据",
        en="No sign of the loader since {since}. Showing data of {time}",
    ),
    "lost_figures": Text(
        zh="新数据暂时无法显示，画面为 {time} 的数据",
        en="New data cannot be shown right now. Showing data of {time}",
    ),
    "silent": Text(zh="数据超过应有时效", en="data older than allowed"),
    "source": Text(zh="数据", en="data"),
    "data_of": Text(zh="数据停在 {time}", en="data of {time}"),
    "alerts_open": Text(zh="{count} 条", en="{count} open"),
    "scenes": Text(zh="场景", en="Scenes"),
    "paused": Text(zh="已暂停，{time} 后继续", en="Paused, goes on in {time}"),
    "freshness": Text(zh="数据时效", en="Data freshness"),
    "waiting": Text(zh="正在等待数据…", en="Waiting for data …"),
    "never": Text(zh="未入库", en="never loaded"),
    "stale": Text(zh="已过时效", en="stale"),
    "seconds": Text(zh="秒", en="s"),
    "minutes": Text(zh="分", en="min"),
    "hours": Text(zh="小时", en="h"),
    "days": Text(zh="天", en="d"),
}
