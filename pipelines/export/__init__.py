"""A fitted model as an ONNX graph. `pipelines/export/parity.py` measures whether it answers as the model does."""
