"""A script as it was, but for the import and the decorator of monitor_performance."""

from difflib import SequenceMatcher

from service import monitor_performance

PAIRS = [
    ("浙江省杭州市西湖区文三路478号华星时代广场A座", "杭州市西湖区文三路478号华星时代广场"),
    ("上海市浦东新区世纪大道100号", "北京市朝阳区建国路88号"),
]


@monitor_performance
def infer_similarity(addr1: str, addr2: str) -> float:
    """How alike two addresses are, from 0 to 1."""
    return SequenceMatcher(None, addr1, addr2).ratio()


for addr1, addr2 in PAIRS:
    print(f"{infer_similarity(addr1, addr2):.2f}  {addr1}  {addr2}")
