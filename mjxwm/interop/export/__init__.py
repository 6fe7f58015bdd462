"""Policies in formats of others: ONNX, numpy's `.npz`, torch's exported programs.

A policy's networks become one chain of simple layers (`chains`), and every format is written from
that chain, with what is to be known of the policy beside it (`about`).
"""

from mjxwm.interop.export.writing import FORMATS, SAME, Exported, export

__all__ = ["FORMATS", "SAME", "Exported", "export"]
