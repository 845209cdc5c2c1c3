"""The pool that our generated messages live in, apart from the process-wide one: see `generate.sh`."""

# ruff: noqa: N802 - generated code calls it by protobuf's name

from google.protobuf.descriptor_pool import DescriptorPool

_POOL = DescriptorPool()


def Default() -> DescriptorPool:
    return _POOL
