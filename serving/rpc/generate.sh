#!/bin/sh
# Make serving/rpc/generated from serving/rpc/protos, or the folder given. Run it after changing a .proto file:
#   sh serving/rpc/generate.sh
set -eu
cd "$(dirname "$0")/../.."
out=${1:-serving/rpc/generated}
python=${PYTHON:-.venv/bin/python}

"$python" -m grpc_tools.protoc -I serving/rpc/protos \
    --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" serving/rpc/protos/*.proto

# protoc writes imports for a folder that is on the path, and puts messages into the process-wide pool, where the package
# `inference` of tritonclient may already be: two files that define the same names cannot both be there.
for file in "$out"/*_pb2*.py "$out"/*_pb2.pyi; do
    sed -e 's/^import \([a-z_]*_pb2\) as/from serving.rpc.generated import \1 as/' \
        -e 's/^from google.protobuf import descriptor_pool as/from serving.rpc import pool as/' "$file" >"$file.new"
    mv "$file.new" "$file"
done
