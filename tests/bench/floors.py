"""What cannot be beaten: servers that read and predict nothing. `python -m tests.bench.floors PORT`: gRPC's."""

import asyncio
import sys

import grpc
from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.post("/invocations")
async def invocations(request: Request) -> Response:
    await request.body()
    return Response(b'{"predictions":[0]}', media_type="application/json")


class Echo(grpc.GenericRpcHandler):
    """Sends every unary message back as it came."""

    def service(self, _call: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return grpc.unary_unary_rpc_method_handler(self.answer)

    async def answer(self, message: bytes, _context: object) -> bytes:
        return message


async def serve_grpc(port: int) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    import uvloop

    uvloop.install()
    asyncio.run(serve_grpc(int(sys.argv[1])))
