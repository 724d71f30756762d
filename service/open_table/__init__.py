"""The inferences that are open, in a file that outlives the process, so that the next one can close them."""

from service.open_table.dead import OPEN_FOLDER, DeadTable, dead_tables, table_path
from service.open_table.layout import OpenInference, TableContents, read_table
from service.open_table.living import living
from service.open_table.table import OpenTable

__all__ = ["OPEN_FOLDER", "DeadTable", "OpenInference", "OpenTable", "TableContents", "dead_tables", "living", "read_table", "table_path"]
