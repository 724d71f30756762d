"""`python -m service` with a model that does what the texts say: run as a script, it is a server for tests.

An address with `坏` makes its batch raise, quoting it; with `慢` the run takes 0.3 s; with `卡` it never comes back; with `毒` the
device is beyond repair. Every run takes as many seconds as the first argument says; with a negative number the model fails its
warm-up, quoting an address. More arguments make it the program `mgeo` with that model.
"""

from __future__ import annotations

import functools
import sys
import threading
import time

import service.__main__ as program
import service.runtime
from service.errors import ErrorType, ModelPoisoned
from service.model.fake import FakeModel


class ObedientModel(FakeModel):
    """The fake, with side effects on demand."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def warmup(self):
        if self._seconds < 0:
            raise ValueError("cannot tokenize 浙江省杭州市")

    def predict(self, pairs):
        texts = "".join(pair.address1 + pair.address2 for pair in pairs)
        if self._seconds:
            time.sleep(self._seconds)
        if "慢" in texts:
            time.sleep(0.3)
        if "卡" in texts:
            threading.Event().wait()
        if "毒" in texts:
            raise ModelPoisoned(ErrorType.DEVICE_FAILED) from RuntimeError(f"CUDA error at {texts}")
        if "坏" in texts:
            raise ValueError(f"cannot tokenize {texts}")
        prediction = super().predict(pairs)
        self.batches.clear()
        return prediction


if __name__ == "__main__":
    model = ObedientModel(float(sys.argv[1]))
    if sys.argv[2:]:
        from cli.main import main

        service.runtime.load = lambda _settings: model
        del sys.argv[1]
        sys.exit(main())
    program.build = functools.partial(program.build, model=model)
    sys.exit(program.main())
