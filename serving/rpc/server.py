"""The gRPC server of one worker: our services, health and reflection, on a port that workers share."""

from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from serving.access.guard import Guard
from serving.engine import Engine
from serving.lag import Lag
from serving.rpc import credentials, pool
from serving.rpc.entrance import Entrance
from serving.rpc.generated import open_inference_pb2, slipway_pb2
from serving.rpc.generated.open_inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from serving.rpc.generated.slipway_pb2_grpc import add_PredictionsServicer_to_server
from serving.rpc.health import Health
from serving.rpc.inference_service import InferenceService
from serving.rpc.predictions_service import PredictionsService
from serving.rpc.reflected import Reflection
from serving.rpc.unreadable import Forgiving
from serving.tls.latest import Latest


@dataclass(frozen=True)
class Options:
    receive_bytes: int = 64 << 20
    """Of one message; gRPC answers RESOURCE_EXHAUSTED to a larger one."""
    send_bytes: int = 64 << 20
    head_seconds: float = 10
    """Until both sides have said hello."""
    stream_ahead: int = 32
    """Messages of one ModelStreamInfer that are worked on at a time; no more are read meanwhile."""
    connection_streams: int = 1000
    """Calls of one connection at a time; its client keeps what is more to itself. Who watches health needs no key."""
    health_poll_seconds: float = 0.5
    connections: int = 4096
    """That may be open; one more is told to go away."""
    body_seconds: float = 30
    """Who does not answer a ping for so long is gone; one is sent as often."""
    idle_seconds: float = 75
    """How long a connection is kept without a call; its client makes another one when it needs it."""
    guard: Guard | None = None
    """None: anybody may ask anything."""
    certificates: Latest | None = None
    """None: in plain text."""
    lag: Lag | None = None
    """Of the loop that it answers in; None: nobody looks."""


async def start(engine: Engine, address: str, options: Options = Options()) -> grpc.aio.Server:
    """A server that answers on `address`, `host:port`. OSError when it cannot listen there."""
    server = grpc.aio.server(
        interceptors=[Entrance(engine, options.guard, options.lag)] if options.guard or options.lag else None,
        options=[
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", options.receive_bytes),
            ("grpc.max_send_message_length", options.send_bytes),
            ("grpc.keepalive_time_ms", round(options.body_seconds * 1000)),
            ("grpc.keepalive_timeout_ms", round(options.body_seconds * 1000)),
            ("grpc.max_connection_idle_ms", round(options.idle_seconds * 1000)),
            ("grpc.max_allowed_incoming_connections", options.connections),
            ("grpc.max_concurrent_streams", options.connection_streams),
            ("grpc.server_handshake_timeout_ms", round(options.head_seconds * 1000)),
        ],
    )
    services = [_name(open_inference_pb2, "GRPCInferenceService"), _name(slipway_pb2, "Predictions")]
    health = Health(engine.lineup, frozenset(services), poll_seconds=options.health_poll_seconds)
    inference = InferenceService(engine, options.guard, ahead=options.stream_ahead)
    forgiving: Any = Forgiving(server)  # all of a server that generated code asks for
    add_GRPCInferenceServiceServicer_to_server(inference, forgiving)  # type: ignore[no-untyped-call]  # generated
    predictions = PredictionsService(engine, options.guard)
    add_PredictionsServicer_to_server(predictions, forgiving)  # type: ignore[no-untyped-call]  # generated
    add_HealthServicer_to_server(health, forgiving)
    _reflect(server, services, options.guard)
    try:
        if options.certificates is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, credentials.of(options.certificates))
    except RuntimeError as error:
        raise OSError(f"gRPC cannot listen on {address}") from error
    await server.start()
    return server


def _name(file: object, service: str) -> str:
    return str(file.DESCRIPTOR.services_by_name[service].full_name)  # type: ignore[attr-defined]  # a generated module


def _reflect(server: grpc.aio.Server, services: list[str], guard: Guard | None) -> None:
    known = pool.Default()
    for file in (health_pb2, reflection_pb2):  # which are in protobuf's own pool
        known.AddSerializedFile(file.DESCRIPTOR.serialized_pb)  # type: ignore[no-untyped-call]
    names = [*services, _name(health_pb2, "Health"), reflection.SERVICE_NAME]
    servicer = Reflection(reflection.aio.ReflectionServicer(names, known), guard)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
