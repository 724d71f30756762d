"""The address pairs a load sends: written by hand to look like what people write, or read from a file."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_PAIRS = 100_000

PAIRS: tuple[tuple[str, str], ...] = (
    ("北京市朝阳区建国路88号SOHO现代城A座1203", "朝阳区建国路八十八号现代城A座1203室"),
    ("上海市浦东新区世纪大道100号环球金融中心75层", "浦东世纪大道100号上海环球金融中心75F"),
    ("广东省深圳市南山区科技园科苑路15号科兴科学园B栋", "深圳南山科苑路15号科兴科学园B座"),
    ("浙江省杭州市余杭区文一西路969号", "杭州市余杭区文一西路998号"),
    ("江苏省南京市鼓楼区中山北路30号益来国际广场", "南京鼓楼中山北路30号益来广场12楼"),
    ("四川省成都市武侯区天府大道中段666号希顿国际广场C座", "成都高新区天府大道中段688号"),
    ("湖北省武汉市洪山区珞喻路1037号华中科技大学", "武汉市洪山区珞喻路1037号华科西门"),
    ("陕西省西安市雁塔区小寨东路91号陕西历史博物馆", "西安雁塔区小寨东路91号"),
    ("天津市和平区南京路189号津汇广场2座", "天津和平区南京路219号天津中心"),
    ("重庆市渝中区民族路188号环球金融中心", "重庆渝中区解放碑民族路188号WFC"),
    ("山东省青岛市市南区香港中路10号颐和国际A座", "青岛市南区香港中路10号颐和国际B座"),
    ("福建省厦门市思明区鹭江道8号国际银行大厦", "厦门思明鹭江道8号国际银行大厦22楼D单元"),
    ("湖南省长沙市岳麓区麓谷大道658号麓谷信息港", "长沙高新区麓谷大道658号信息港A栋"),
    ("河南省郑州市金水区花园路39号国贸中心3号楼", "郑州市花园路与农科路交叉口国贸中心三号楼"),
    ("辽宁省大连市中山区人民路15号国际金融大厦", "大连中山区人民路15号"),
    ("黑龙江省哈尔滨市道里区中央大街69号金安国际", "哈尔滨道里中央大街89号马迭尔宾馆"),
    ("云南省昆明市五华区东风西路11号顺城购物中心", "昆明五华东风西路顺城王府井"),
    ("安徽省合肥市蜀山区长江西路130号", "合肥市蜀山区长江西路130号华润五彩国际"),
    ("广西壮族自治区南宁市青秀区民族大道136号华润大厦A座", "南宁青秀区民族大道136-1号华润大厦"),
    ("新疆维吾尔自治区乌鲁木齐市天山区新华北路108号", "乌鲁木齐新华北路108号4栋2单元501"),
    ("内蒙古自治区呼和浩特市赛罕区大学西街235号内蒙古大学", "呼市赛罕区大学西路235号"),
    ("海南省三亚市吉阳区迎宾路360-1号三亚阳光金融广场", "三亚市迎宾路三百六十号阳光金融广场16楼"),
    ("北京市海淀区中关村大街27号中关村大厦8层", "北京市海淀区中关村南大街27号"),
    ("上海市徐汇区漕溪北路398号汇智大厦3单元", "上海徐汇漕溪北路398弄3单元"),
    ("广州市天河区体育西路103号维多利广场B塔21楼", "广州天河体育西路一百零三号维多利B塔"),
    ("苏州工业园区星湖街328号创意产业园1-B401", "江苏苏州园区星湖街328号创意产业园一期B401"),
    ("浙江省宁波市鄞州区天童北路933号和邦大厦A座", "宁波鄞州区天童南路933号"),
    ("江西省南昌市红谷滩区赣江中大道1218号新地中心", "南昌红谷滩赣江中大道1218号新地办公楼"),
    ("贵州省贵阳市观山湖区林城西路95号 联通大厦", "贵阳市观山湖区林城西路95号"),
    ("河北省石家庄市长安区中山东路39号勒泰中心A座", "石家庄长安区中山东路39号勒泰中心(写字楼)A座2606"),
    ("广东省东莞市虎门镇捷南路连升北段88号裕隆花园5栋2单元1104", "东莞虎门连升北路88号裕隆花园5幢2-1104"),
    ("甘肃省兰州市城关区东岗西路638号 文化大厦", "兰州市七里河区西津西路668号"),
)
"""Same, related and different places; abbreviations, Chinese numerals, missing provinces, wrong numbers."""


def read_pairs(path: Path) -> tuple[tuple[str, str], ...]:
    """Read the columns address1 and address2 of a UTF-8 CSV file; rows past the first 100,000 are left out.

    Raises:
        ValueError: the file cannot be read, has not both columns, or has no row.
    """
    pairs: list[tuple[str, str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"address1", "address2"} <= set(rows.fieldnames or ()):
                raise ValueError(f"{path} needs the columns address1 and address2 in its first line")
            for row in rows:
                pairs.append((row["address1"] or "", row["address2"] or ""))
                if len(pairs) == MAX_PAIRS:
                    break
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as UTF-8 CSV: {error}") from error
    if not pairs:
        raise ValueError(f"{path} has no pair after its first line")
    return tuple(pairs)
