"""A process that loads whatever NVML its LD_LIBRARY_PATH offers and reads it on command.

One command a line on stdin (`read`, `close`, `open auto`, `open nvml`), one JSON object a line on stdout: `devices`,
`reader` with `reason`, or `raised` with `message`. `read` and `close` go to the reader opened last, at first a bare
`NvmlGpuReader`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from service.errors import StartupError
from service.gpu import GpuReader, GpuUnavailable, NvmlGpuReader, open_gpu_reader


def main() -> None:
    """Answer commands until stdin ends."""
    reader: GpuReader = NvmlGpuReader()
    for line in sys.stdin:
        command, _, mode = line.strip().partition(" ")
        answer: dict[str, object] = {}
        try:
            if command == "open":
                reader, reason = open_gpu_reader("nvml" if mode == "nvml" else "auto")
                answer = {"reader": type(reader).__name__, "reason": reason}
            elif command == "read":
                answer = {"devices": [asdict(device) for device in reader.read()]}
            else:
                reader.close()
        except (GpuUnavailable, StartupError) as error:
            answer = {"raised": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)


main()
