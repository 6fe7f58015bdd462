# MuJoCo's names come from compiled modules without stubs: anything may be there.
from typing import Any

def __getattr__(name: str) -> Any: ...
