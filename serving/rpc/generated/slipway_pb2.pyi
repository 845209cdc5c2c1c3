from serving.rpc.generated import open_inference_pb2 as _open_inference_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PredictRequest(_message.Message):
    __slots__ = ("infer",)
    INFER_FIELD_NUMBER: _ClassVar[int]
    infer: _open_inference_pb2.ModelInferRequest
    def __init__(self, infer: _Optional[_Union[_open_inference_pb2.ModelInferRequest, _Mapping]] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("infer",)
    INFER_FIELD_NUMBER: _ClassVar[int]
    infer: _open_inference_pb2.ModelInferResponse
    def __init__(self, infer: _Optional[_Union[_open_inference_pb2.ModelInferResponse, _Mapping]] = ...) -> None: ...

class PredictStreamRequest(_message.Message):
    __slots__ = ("infer", "rows_per_chunk")
    INFER_FIELD_NUMBER: _ClassVar[int]
    ROWS_PER_CHUNK_FIELD_NUMBER: _ClassVar[int]
    infer: _open_inference_pb2.ModelInferRequest
    rows_per_chunk: int
    def __init__(self, infer: _Optional[_Union[_open_inference_pb2.ModelInferRequest, _Mapping]] = ..., rows_per_chunk: _Optional[int] = ...) -> None: ...

class PredictStreamResponse(_message.Message):
    __slots__ = ("infer", "first_row")
    INFER_FIELD_NUMBER: _ClassVar[int]
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    infer: _open_inference_pb2.ModelInferResponse
    first_row: int
    def __init__(self, infer: _Optional[_Union[_open_inference_pb2.ModelInferResponse, _Mapping]] = ..., first_row: _Optional[int] = ...) -> None: ...

class PredictCollectRequest(_message.Message):
    __slots__ = ("infer",)
    INFER_FIELD_NUMBER: _ClassVar[int]
    infer: _open_inference_pb2.ModelInferRequest
    def __init__(self, infer: _Optional[_Union[_open_inference_pb2.ModelInferRequest, _Mapping]] = ...) -> None: ...

class PredictCollectResponse(_message.Message):
    __slots__ = ("infer", "rows")
    INFER_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    infer: _open_inference_pb2.ModelInferResponse
    rows: int
    def __init__(self, infer: _Optional[_Union[_open_inference_pb2.ModelInferResponse, _Mapping]] = ..., rows: _Optional[int] = ...) -> None: ...
